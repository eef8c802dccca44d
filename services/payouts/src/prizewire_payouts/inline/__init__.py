"""Details that a payout's request names itself: opened on arrival, and kept as a payout method of this payout alone."""
