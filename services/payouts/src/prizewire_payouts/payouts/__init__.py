"""Payouts from request to proof: states, attempts, outcomes, the signer's closure."""
