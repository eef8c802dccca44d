"""Signs on-chain payouts after it has decoded and compared them, and nothing else."""
