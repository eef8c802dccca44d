"""Fixtures of rewards' tests: the service over a new database, without Kafka."""

from collections.abc import AsyncIterator

import pytest

from prizewire_devstack.testing import DatabaseFactory
from services.rewards.tests.rig import Rig


@pytest.fixture
async def rig(make_database: DatabaseFactory) -> AsyncIterator[Rig]:
    """The service over a database of its own. It consumes events through the real inbox."""
    made = await Rig.open(make_database("rewards", migrated=True))
    yield made
    await made.close()
