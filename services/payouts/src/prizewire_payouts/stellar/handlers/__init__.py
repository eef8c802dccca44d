"""The steps of the execution. Each can be repeated and restarted at any point."""
