"""The ports over PostgreSQL and the outbox."""
