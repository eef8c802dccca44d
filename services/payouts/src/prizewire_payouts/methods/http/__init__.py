"""Payout methods over HTTP."""
