"""The configured rails: how they are built, and which one carries a payout."""
