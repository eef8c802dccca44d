"""Wallets, histories, exports and imports over HTTP."""
