"""One pydantic model per event type, one module per topic, one discriminated union per topic."""
