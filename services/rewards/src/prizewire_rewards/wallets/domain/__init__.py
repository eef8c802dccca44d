"""Histories, statements and opening balances."""
