"""Balances, histories and opening balances over PostgreSQL."""
