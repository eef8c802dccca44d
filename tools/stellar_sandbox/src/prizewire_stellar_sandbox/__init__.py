"""A local Stellar RPC with real XDR, signatures, sequences, ledgers and fees."""
