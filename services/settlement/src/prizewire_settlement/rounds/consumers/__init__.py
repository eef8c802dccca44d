"""Consumers of match events and of rewards' events."""
