"""What rewards' tests share: a service over a fresh database, without Kafka."""

from collections.abc import AsyncIterator

import pytest

from prizewire_devstack.testing import DatabaseFactory
from services.rewards.tests.rig import Rig


@pytest.fixture
async def rig(make_database: DatabaseFactory) -> AsyncIterator[Rig]:
    """The service's use cases over a database of its own, consuming through the real inbox."""
    made = await Rig.open(make_database("rewards", migrated=True))
    yield made
    await made.close()
