"""Contract events to commands, and answers to contract events."""
