"""What the controllers of all features share."""
