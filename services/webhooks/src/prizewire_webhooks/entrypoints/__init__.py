"""Where work comes in: Kafka, HTTP, time."""
