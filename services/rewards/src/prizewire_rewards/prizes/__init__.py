"""Settled rounds and their prizes: states, money, caps."""
