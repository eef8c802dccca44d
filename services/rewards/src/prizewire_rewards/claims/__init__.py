"""Prizes that their winners must claim: risk rules, review, deadlines."""
