"""Rounds, held prizes and disownments over HTTP."""
