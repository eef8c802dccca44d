"""Decisions about rounds: pure, no input or output."""
