"""Competitions, rules and what they pay: pure, no input or output."""
