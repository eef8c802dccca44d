"""Stellar execution: what a transaction attempt is, what may become of it, and what proves it. Pure."""
