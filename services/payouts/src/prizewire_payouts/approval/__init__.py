"""Approval of payouts: limits, approvers, pauses."""
