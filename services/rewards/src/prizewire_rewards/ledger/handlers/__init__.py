"""Decisions over loaded accounts and receivables."""
