"""Use cases: load, decide, save. Plain functions over a `Store`, which is one transaction."""
