"""Signs on-chain payouts that it has understood, nothing else."""
