"""Quotes: what a payout would cost on each rail that can make it, signed with payouts' message key."""
