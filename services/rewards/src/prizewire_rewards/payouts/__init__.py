"""Payouts that players and operators ask for, and what the payouts service says of them."""
