"""Rounds and prizes, their state machines and moves."""
