"""A payout rail that moves no money: scripted, for tests and demonstrations, with a journal of its payments."""

from prizewire_rail_fake.journal import Journal
from prizewire_rail_fake.provider import FakeProvider, Scenario, build, check
from prizewire_rail_fake.webhooks import FakeVerifier, WebhookSender, build_verifier, signed_webhook

__all__ = [
    "FakeProvider",
    "FakeVerifier",
    "Journal",
    "Scenario",
    "WebhookSender",
    "build",
    "build_verifier",
    "check",
    "signed_webhook",
]
