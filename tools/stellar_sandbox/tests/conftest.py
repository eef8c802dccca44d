"""A running sandbox for the tests that talk to one over HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from stellar_sdk.soroban_server_async import SorobanServerAsync

from tools.stellar_sandbox.tests.process import Sandbox, ready


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Sandbox]:
    """A sandbox with fast ledgers, shared by the tests of a module."""
    running = Sandbox(tmp_path_factory.mktemp("stellar") / "state.db").start()
    try:
        await ready(running)
        yield running
    finally:
        await running.http.aclose()
        assert running.end() == 0


@pytest_asyncio.fixture(loop_scope="session")
async def client(sandbox: Sandbox) -> AsyncGenerator[SorobanServerAsync]:
    """The client library's RPC client."""
    async with sandbox.client() as connected:
        yield connected
