"""Use cases: decide what to sign, sign it, close slots and payouts."""
