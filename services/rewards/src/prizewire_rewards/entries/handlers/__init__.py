"""Entering rounds, and the end of rounds for their entries."""
