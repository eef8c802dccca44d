"""Encryption of payout details, and address formats."""
