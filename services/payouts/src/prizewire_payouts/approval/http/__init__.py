"""Routes of approval: decisions about one payout and about many, and pauses."""
