"""Disownments over PostgreSQL, and rounds, read."""
