"""Fees that leave the system: filed by one person, approved by another."""
