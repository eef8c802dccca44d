"""Balances, histories and statements of wallets, and imports of opening balances."""
