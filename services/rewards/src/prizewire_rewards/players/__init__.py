"""Facts of players for risk rules."""
