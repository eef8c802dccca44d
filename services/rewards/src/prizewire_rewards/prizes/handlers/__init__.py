"""Caps, and the parties of prizes."""
