"""Delivers signed webhooks to subscribers, and receives webhooks of providers."""
