"""Open, judge, decide and expire claims."""
