"""The ports over PostgreSQL, Stellar XDR, key backends and contracts."""
