"""What crosses a boundary in Prizewire: events, topics, intents, rail protocol, error codes. No IO."""
