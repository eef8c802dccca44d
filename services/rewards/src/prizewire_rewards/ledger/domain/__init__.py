"""Accounts, allowed transfers, receivables and parties as plain data."""
