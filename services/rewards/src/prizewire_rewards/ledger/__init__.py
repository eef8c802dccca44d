"""Accounts, transfers between them, receivables of players, and the parties of money."""
