"""What payouts' tests share: the service's parts over a fresh database, without Kafka."""

from collections.abc import AsyncIterator

import httpx
import pytest

from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.testing import token_reader
from prizewire_devstack.testing import DatabaseFactory
from services.payouts.tests.rig import Rig
from tests.documented import Documented


@pytest.fixture
async def rig(make_database: DatabaseFactory) -> AsyncIterator[Rig]:
    """The service's parts over a database of its own, consuming through the real inbox."""
    made = Rig(make_database("payouts", migrated=True))
    yield made
    await made.close()


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service whose answers are compared with its OpenAPI document."""
    tokens = token_reader()
    app = build_app(service="payouts", controllers=rig.controllers, health=Health(), tokens=tokens)
    transport = httpx.ASGITransport(app=Documented(app))  # type: ignore[arg-type] # Litestar types its scope more narrowly
    async with httpx.AsyncClient(transport=transport, base_url="http://payouts") as made:
        yield made
