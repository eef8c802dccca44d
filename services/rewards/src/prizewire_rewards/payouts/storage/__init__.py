"""Payouts, payout methods, funding accounts and automatic withdrawals over PostgreSQL."""
