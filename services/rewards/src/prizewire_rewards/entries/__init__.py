"""Entry fees: taken when a player enters a round, and held in escrow until it ends."""
