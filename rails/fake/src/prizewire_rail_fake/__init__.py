"""A payout rail that moves no money: scripted, for tests and demonstrations, with a book of its own effects."""

from prizewire_rail_fake.journal import Journal
from prizewire_rail_fake.provider import FakeProvider, Scenario, build

__all__ = ["FakeProvider", "Journal", "Scenario", "build"]
