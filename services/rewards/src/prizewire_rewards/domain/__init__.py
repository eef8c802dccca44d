"""Money state as pure decisions: what may move where, and what a settled round or a payout's end brings about."""
