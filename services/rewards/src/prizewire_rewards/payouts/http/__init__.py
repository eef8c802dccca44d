"""Funding accounts, operators' payouts and automatic withdrawals over HTTP."""
