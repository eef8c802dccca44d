"""Screening: a service is asked about the destination and payee of each payout before it is sent."""
