"""What settlement's tests share."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from prizewire_devstack.testing import DatabaseFactory
from prizewire_settlement.app import build
from services.settlement.tests.fakes import CAMPAIGN, NOW, FakeWorld, make_competition
from services.settlement.tests.service import Opener, Service, open_runtime
from tests.documented import Documented


@pytest.fixture
def world() -> FakeWorld:
    """A fake world with one competition, `cup`: 100.00 EURC to three places."""
    made = FakeWorld()
    made.add(make_competition())
    return made


@pytest.fixture
async def open_service(make_database: DatabaseFactory) -> AsyncIterator[Opener]:
    """A function that opens a settlement with one known campaign; all of one test share a fresh database."""
    urls = make_database("settlement", migrated=True)
    async with AsyncExitStack() as stack:

        async def make(*, now: datetime = NOW, **more: Any) -> Service:
            runtime = open_runtime(urls, now=now, **more)
            stack.push_async_callback(runtime.db.close)
            service = Service(runtime, await build(runtime), urls)
            transport = ASGITransport(app=Documented(service.app()))
            service.client = await stack.enter_async_context(
                AsyncClient(transport=transport, base_url="http://settlement.test")
            )
            await service.rows(
                "INSERT INTO campaigns (id, asset, state, version) VALUES (:id, 'EURC', 'active', 1) "
                "ON CONFLICT DO NOTHING RETURNING id",
                id=CAMPAIGN,
            )
            return service

        yield make


@pytest.fixture
async def service(open_service: Opener) -> Service:
    """A settlement over an empty database, with the competition `cup`."""
    made: Service = await open_service()
    await made.create()
    return made
