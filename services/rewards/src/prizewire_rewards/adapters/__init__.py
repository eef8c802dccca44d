"""The ports over PostgreSQL, Kafka's outbox and message keys."""
