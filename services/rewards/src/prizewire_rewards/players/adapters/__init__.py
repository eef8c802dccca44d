"""Keyed hashes, and the file of sources."""
