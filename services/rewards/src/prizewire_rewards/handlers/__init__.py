"""Use cases: load what is concerned, decide, save. Each runs inside a transaction that its caller commits."""
