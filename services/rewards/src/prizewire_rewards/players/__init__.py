"""What is known of players for risk rules."""
