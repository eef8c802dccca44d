"""Rounds, prizes, staged parts and caps over PostgreSQL."""
