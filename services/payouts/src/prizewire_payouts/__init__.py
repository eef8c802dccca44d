"""Payout lifecycle: methods, approval, routing, rails, Stellar execution."""
