"""Subscriptions and deliveries: pure decisions, no input or output."""
