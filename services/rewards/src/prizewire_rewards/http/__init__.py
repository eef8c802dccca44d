"""Shared parts of the controllers of all features."""
