"""Caps, and who is behind a prize."""
