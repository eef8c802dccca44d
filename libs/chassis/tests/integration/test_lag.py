"""The lag of consumers over real Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from uuid import uuid4

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import REGISTRY

from libs.chassis.tests.integration.inbox_rig import held
from prizewire_chassis import lag as lag_module
from prizewire_chassis.inbox import ConsumerSpec, StoredOffset, never
from prizewire_chassis.kafka import Offsets, build_broker, subscribe
from prizewire_chassis.testing import make_key
from prizewire_contracts.encode import sign_raw
from prizewire_contracts.topics import PAYOUTS
from prizewire_devstack.waiting import eventually

PARTITIONS = 2


@pytest.fixture(autouse=True)
def _always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker is asked for the end of a partition each time."""
    monkeypatch.setattr(lag_module, "ASK_INTERVAL_S", 0.0)


@pytest.fixture
def topic(make_topic: Callable[..., str]):
    return replace(PAYOUTS, name=make_topic(partitions=PARTITIONS))


@pytest.fixture
def send(kafka_server, topic, outbox):
    """A function that publishes authentic events to each partition."""
    login = kafka_server.login("payouts")

    async def send(count: int) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=login.bootstrap_servers, security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="SCRAM-SHA-512", sasl_plain_username=login.username, sasl_plain_password=login.password,
        )  # fmt: skip
        async with producer:
            for partition in range(PARTITIONS):
                for _ in range(count):
                    event = held(outbox, uuid4(), 1)
                    raw = sign_raw(topic=topic.name, raw=orjson.loads(event.value), key=make_key("payouts"))
                    await producer.send_and_wait(topic.name, value=orjson.dumps(raw), partition=partition)

    return send


class Gate:
    """A handler that waits until it is opened; ``processor`` waits likewise, without a database."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.open = asyncio.Event()
        self.entered = asyncio.Event()
        if is_open:
            self.open.set()

    async def __call__(self, *_: object) -> dict[int, object]:
        self.entered.set()
        await self.open.wait()
        return {}

    @property
    def processor(self) -> SimpleNamespace:
        async def stored_offsets(*_: object) -> dict[int, StoredOffset]:
            return {}

        return SimpleNamespace(process=self, stored_offsets=stored_offsets, stopping=False)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def group() -> str:
    return f"rewards.test-{uuid4().hex[:8]}"


@pytest.fixture
def consuming(settings, topic, group, processor):
    """A context in which a member of the group consumes the topic."""

    @asynccontextmanager
    async def run(gate: Gate, *, by: SimpleNamespace | None = None) -> AsyncIterator[Offsets]:
        broker = build_broker(settings)
        offsets = subscribe(broker, ConsumerSpec(group, topic, gate, never), by or processor)
        await broker.start()
        try:
            yield offsets
        finally:
            await broker.stop()

    return run


def shown(group: str) -> tuple[float | None, float | None]:
    names = ("messages", "seconds")
    found = [
        REGISTRY.get_sample_value(f"prizewire_consumer_lag_{name}", {"consumer": group}) for name in names
    ]
    return found[0], found[1]


async def has(offsets: Offsets, messages: int) -> bool:
    """Whether the lag is so many messages, after the broker was asked."""
    await offsets.ask_for_ends()
    lag = offsets.lag()
    return lag is not None and lag.messages() == messages


async def test_the_lag_rises_while_a_batch_hangs_and_falls_to_zero(consuming, send, gate, group):
    """The partitions are paused meanwhile: messages that come are counted all the same, and the oldest waits longer. A consumer
    that starts again where nothing is new has no lag.
    """
    await send(2)
    async with consuming(gate) as offsets:
        await gate.entered.wait()
        await eventually(lambda: has(offsets, 2 * PARTITIONS))
        await send(3)
        await eventually(lambda: has(offsets, 5 * PARTITIONS))
        before = shown(group)[1]
        await eventually(lambda: shown(group)[1] > before + 0.2)
        assert shown(group)[0] == 5 * PARTITIONS
        gate.open.set()
        await eventually(lambda: shown(group) == (0, 0))
        await send(1)
        await eventually(lambda: has(offsets, 0))
    async with consuming(gate) as offsets:
        await eventually(
            lambda: all(offsets.lag().starts.values()) and len(offsets.lag().starts) == PARTITIONS
        )
        await eventually(lambda: has(offsets, 0))
        assert shown(group)[1] == 0


async def test_revoked_partitions_leave_the_lag(consuming, send, gate):
    """A second member takes a partition over and processes it: the first one, which hangs, counts only what it still has."""
    await send(2)
    async with consuming(gate, by=gate.processor) as first:
        await gate.entered.wait()
        await eventually(lambda: has(first, 2 * PARTITIONS))
        quick = Gate(is_open=True)
        async with consuming(quick, by=quick.processor) as second:
            await quick.entered.wait()
            await eventually(lambda: has(second, 0))
            await eventually(lambda: has(first, 2))
            assert second.lag().seconds() == 0
            assert first.lag().seconds() > 0
            gate.open.set()
            await eventually(lambda: has(first, 0))
