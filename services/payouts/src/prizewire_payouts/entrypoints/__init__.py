"""Where work comes in: events, HTTP, time."""
