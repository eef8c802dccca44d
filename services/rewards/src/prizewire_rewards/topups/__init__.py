"""Money that players pay in over a provider, and its reversals."""
