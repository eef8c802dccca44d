"""What a payout is, and what may become of it. Pure: no IO, no framework."""
