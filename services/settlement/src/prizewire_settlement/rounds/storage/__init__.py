"""Rounds in PostgreSQL."""
