"""What calls the use cases: Kafka, HTTP, time."""
