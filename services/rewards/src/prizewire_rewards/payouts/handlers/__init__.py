"""Requests, outcomes, intents, funding accounts and automatic withdrawals."""
