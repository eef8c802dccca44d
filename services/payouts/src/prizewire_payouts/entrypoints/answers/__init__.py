"""What payouts' routes answer."""
