"""Rounds in events: what game servers report, and what settlement publishes."""
