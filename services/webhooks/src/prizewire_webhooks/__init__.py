"""Signed webhooks to subscribers, and providers' webhooks taken in."""
