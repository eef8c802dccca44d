"""The age of the last poll over real Kafka, where a consumer has no partitions."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from types import SimpleNamespace
from uuid import uuid4

import pytest

from prizewire_chassis.polls import PolledConsumer, poll_age
from prizewire_devstack.waiting import eventually

POLL_MS = 10
BEYOND_A_POLL_S = 0.5
HEARTBEAT_MS = 1_000


@pytest.fixture
async def members(kafka_server, make_topic: Callable[..., str]) -> AsyncIterator[list[PolledConsumer]]:
    """Two members of a group that polls a topic with one partition."""
    login, name, group = (
        kafka_server.login("rewards"),
        make_topic(partitions=1),
        f"rewards.test-{uuid4().hex[:8]}",
    )
    async with AsyncExitStack() as stack:
        found = [
            PolledConsumer(
                name,
                group_id=group,
                bootstrap_servers=login.bootstrap_servers,
                security_protocol="SASL_PLAINTEXT",
                sasl_mechanism="SCRAM-SHA-512",
                sasl_plain_username=login.username,
                sasl_plain_password=login.password,
                heartbeat_interval_ms=HEARTBEAT_MS,
            )
            for _ in range(2)
        ]
        for one in found:
            await stack.enter_async_context(one)
        polling = [asyncio.create_task(one.getmany(timeout_ms=POLL_MS)) for one in found]
        yield found
        for task in polling:
            task.cancel()
        await asyncio.gather(*polling, return_exceptions=True)


async def test_a_consumer_without_partitions_gets_answers_of_its_broker(
    members: list[PolledConsumer],
) -> None:
    """Its heartbeats are answered, so that its age does not grow. Nobody is called because there are more processes than partitions."""
    joined: list[PolledConsumer] = []

    def is_idle_beside_another() -> bool:
        joined[:] = [one for one in members if one._coordinator.generation > 0]
        return len(joined) == 2 and sorted(len(one.assignment()) for one in members) == [0, 1]

    await eventually(is_idle_beside_another)
    [idle] = [one for one in members if not one.assignment()]
    age = poll_age(SimpleNamespace(consumer=idle))
    seen: list[float] = []

    def is_younger_again() -> bool:
        """It was older than a poll takes, and is younger now: a heartbeat was answered."""
        if idle.polls.age() < BEYOND_A_POLL_S / 4:
            seen.append(age())
        return not idle.assignment() and any(
            was > BEYOND_A_POLL_S and now < was / 2 for was, now in pairwise(seen)
        )

    await eventually(is_younger_again)
