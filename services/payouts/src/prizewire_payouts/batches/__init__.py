"""Payouts that were requested together: what arrived of a batch, and decisions about all its lines at once."""
