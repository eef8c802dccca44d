"""Message keys, closures, and the file of payout rules."""
