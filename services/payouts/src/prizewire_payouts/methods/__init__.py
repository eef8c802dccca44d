"""Payout methods: where a player's prizes are paid, with details that are encrypted at rest."""
