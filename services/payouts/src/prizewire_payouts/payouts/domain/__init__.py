"""Payouts and their transitions. Pure: no IO, no framework."""
