"""Rounds: one for each match, from the first report to the final settlement."""
