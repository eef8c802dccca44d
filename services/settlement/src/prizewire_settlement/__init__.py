"""Rounds and rules: results, prize templates, ties, fee split."""
