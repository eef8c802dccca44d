"""Entries of a history, statements, opening balances."""
