"""Payout methods: where a player's money goes, with details that are encrypted at rest."""
