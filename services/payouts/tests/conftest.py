"""What payouts' tests share: the service's parts over a fresh database, without Kafka."""

from collections.abc import AsyncIterator

import pytest

from prizewire_devstack.testing import DatabaseFactory
from services.payouts.tests.rig import Rig


@pytest.fixture
async def rig(make_database: DatabaseFactory) -> AsyncIterator[Rig]:
    """The service's parts over a database of its own, consuming through the real inbox."""
    made = Rig(make_database("payouts", migrated=True))
    yield made
    await made.close()
