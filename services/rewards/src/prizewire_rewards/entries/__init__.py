"""Entry fees: taken when a player enters a round, held until it ends."""
