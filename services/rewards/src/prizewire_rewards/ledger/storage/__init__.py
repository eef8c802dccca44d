"""The ports of the ledger over PostgreSQL."""
