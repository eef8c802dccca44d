"""Everything that touches the outside: PostgreSQL, the outbox, keys, rails, the Stellar network."""
