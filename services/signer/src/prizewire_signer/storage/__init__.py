"""The signer's records in PostgreSQL."""
