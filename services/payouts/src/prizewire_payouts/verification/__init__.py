"""Verification of payout methods: a player proves that a destination is theirs, by a code or by a signature."""
