"""Competitions and their rules: whose prizes a match pays, to which places, reported by whom."""
