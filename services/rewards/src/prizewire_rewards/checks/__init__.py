"""Invariants as questions to the database, asked over HTTP and by a job."""
