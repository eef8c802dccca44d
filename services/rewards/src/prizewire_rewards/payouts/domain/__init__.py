"""Payouts, their rules and moves; funding accounts; automatic withdrawals."""
