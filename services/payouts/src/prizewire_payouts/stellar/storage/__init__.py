"""Stellar transactions, payments and slots over PostgreSQL."""
