"""Accounts, transfers between them, what players owe, and who is behind money."""
