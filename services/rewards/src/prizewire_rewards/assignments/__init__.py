"""Payee assignments: two admins name who is paid in a player's place."""
