"""Payouts that players and operators request, and their outcomes by events of the payouts service."""
