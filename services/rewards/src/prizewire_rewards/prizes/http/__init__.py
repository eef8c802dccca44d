"""Prizes over HTTP."""
