"""Payouts over HTTP, for players and staff."""
