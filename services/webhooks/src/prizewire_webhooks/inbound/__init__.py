"""Inbound webhooks: what rails' providers send, verified and published once."""
