"""Payouts and attempts over PostgreSQL."""
