"""PostgreSQL, outgoing HTTP, secrets, signatures, verifiers."""
