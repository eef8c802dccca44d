"""Claims, risk rules and verdicts."""
