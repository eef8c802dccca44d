"""Competitions in PostgreSQL."""
