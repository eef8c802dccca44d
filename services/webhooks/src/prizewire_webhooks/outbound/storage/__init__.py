"""Subscriptions and deliveries in PostgreSQL."""
