"""Use cases of subscriptions and deliveries."""
