"""Disownments, and listings of rounds, over PostgreSQL."""
