"""Rounds, rules and prize arithmetic: pure, no input or output."""
