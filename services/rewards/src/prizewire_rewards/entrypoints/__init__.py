"""Where work comes in: Kafka, HTTP, the clock."""
