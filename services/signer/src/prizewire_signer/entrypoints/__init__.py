"""Where work comes in: batches from Kafka, and the jobs that sign and check."""
