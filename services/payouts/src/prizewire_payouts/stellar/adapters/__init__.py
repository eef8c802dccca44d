"""Stellar transactions as bytes, and the RPC of a node."""
