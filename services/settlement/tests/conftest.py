"""What settlement's tests share."""

import pytest

from services.settlement.tests.fakes import FakeWorld, make_competition


@pytest.fixture
def world() -> FakeWorld:
    """A world that knows one competition, `cup`: 100.00 EURC to three places."""
    made = FakeWorld()
    made.add(make_competition())
    return made
