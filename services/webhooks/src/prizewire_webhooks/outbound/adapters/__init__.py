"""Outgoing HTTP, and the encryption of subscribers' secrets."""
