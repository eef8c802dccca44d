"""Campaigns over PostgreSQL."""
