"""What webhooks are, without any framework: states, decisions, addresses."""
