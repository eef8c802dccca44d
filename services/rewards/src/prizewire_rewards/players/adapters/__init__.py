"""Keyed hashes, and the file of identity sources."""
