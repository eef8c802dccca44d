"""What may be signed, decided by pure functions over facts that were already read and locked."""
