"""Recorded legal approvals: without one that is in force, a rail that needs it pays nothing."""
