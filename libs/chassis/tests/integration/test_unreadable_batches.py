"""Compressed batches over real Kafka: normal ones are applied, and bombs stop neither their partition nor the process."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import text

from libs.chassis.tests.integration.inbox_rig import effects, held
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec, never
from prizewire_chassis.inbox.stuck import KEPT_BYTES_MAX
from prizewire_chassis.kafka import build_broker, subscribe
from prizewire_chassis.record_batches import UNPACKED_BYTES_MAX
from prizewire_chassis.testing import make_key, records
from prizewire_contracts.encode import sign_raw
from prizewire_contracts.topics import PAYOUTS
from prizewire_devstack.waiting import eventually

CODECS = ["gzip", "snappy", "lz4", "zstd"]
MIB = 1024 * 1024


@pytest.fixture
def topic(make_topic: Callable[..., str]):
    """A topic of one partition, so that a message is behind the one that was sent before."""
    return replace(PAYOUTS, name=make_topic(partitions=1))


@pytest.fixture
def send(kafka_server, topic):
    login = kafka_server.login("payouts")

    async def send(value: bytes, codec: str | None) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=login.bootstrap_servers, security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512",
            sasl_plain_username=login.username, sasl_plain_password=login.password, compression_type=codec,
            max_request_size=100 * MIB, max_batch_size=100 * MIB,
        )  # fmt: skip
        async with producer:
            await producer.send_and_wait(topic.name, value=value)

    return send


@pytest.fixture
def signed(outbox, topic):
    """A function that makes a valid event for the topic: (id, message)."""

    def make() -> tuple[str, bytes]:
        event = held(outbox, uuid4(), 1)
        raw = sign_raw(topic=topic.name, raw=orjson.loads(event.value), key=make_key("payouts"))
        return event.event_id, orjson.dumps(raw)

    return make


@pytest.fixture
def spec(topic, handler) -> ConsumerSpec:
    return ConsumerSpec(f"rewards.test-{uuid4().hex[:8]}", topic, handler, never)


@pytest.fixture
def consuming(settings, spec: ConsumerSpec, processor: BatchProcessor):
    """A context in which the topic is consumed, each time by the same group."""

    @asynccontextmanager
    async def run() -> AsyncIterator[None]:
        broker = build_broker(settings)
        offsets = subscribe(broker, spec, processor)
        await broker.start()
        try:
            yield
        finally:
            await offsets.commit()
            await broker.stop()

    return run


async def entries(db) -> list:
    async with db.transaction() as tx:
        return list(await tx.execute(text('SELECT * FROM stuck_events ORDER BY partition, "offset"')))


async def test_clients_are_served_with_every_codec(db, consuming, signed, send):
    """A message is applied however its producer compresses."""
    wanted = []
    for codec in (None, *CODECS):
        name, message = signed()
        await send(message, codec)
        wanted.append(name)

    async def applied() -> bool:
        return await effects(db) == wanted

    async with consuming():
        await eventually(applied, deadline_s=600)
    assert await entries(db) == []


async def test_bombs_are_dead_entries_and_what_is_behind_them_is_applied(db, consuming, signed, send):
    """One entry for each, at its place, with its codec and size; the consumer goes on, also after a new start."""
    sizes = {"gzip": 64 * MIB, "snappy": UNPACKED_BYTES_MAX + MIB, "lz4": 64 * MIB, "zstd": 64 * MIB}
    wanted = []
    for codec, size in sizes.items():
        await send(b"\0" * size, codec)
        name, message = signed()
        await send(message, None)
        wanted.append(name)

    async def applied(*names: str) -> bool:
        return await effects(db) == list(names)

    async with consuming():
        await eventually(lambda: applied(*wanted), deadline_s=600)
    found = await entries(db)
    assert [(row.state, row.reason, row.offset) for row in found] == [
        ("dead", "batch_unreadable", place) for place in (0, 2, 4, 6)
    ]
    for row, codec in zip(found, CODECS, strict=True):
        assert f"offsets {row.offset} to {row.offset} cannot be read" in row.detail
        assert f"codec {codec}, " in row.detail
        assert "1 records by the batch's header" in row.detail
        assert 0 < len(row.value) <= KEPT_BYTES_MAX
    name, message = signed()
    await send(message, "zstd")
    async with consuming():
        await eventually(lambda: applied(*wanted, name), deadline_s=600)
    assert len(await entries(db)) == 4


async def test_a_message_that_is_too_large_is_kept_by_its_beginning(
    db, consuming, signed, send, make_stuck, spec
):
    """Its length and SHA-256 are in the detail; replaying it says again why it is dead."""
    large = bytes(range(256)) * (5 * MIB // 256)
    await send(large, "gzip")
    name, message = signed()
    await send(message, "gzip")

    async def applied() -> bool:
        return await effects(db) == [name]

    async with consuming():
        await eventually(applied, deadline_s=600)
    (row,) = await entries(db)
    assert (row.state, row.reason) == ("dead", "message_too_large")
    assert bytes(row.value) == large[:KEPT_BYTES_MAX]
    assert (
        f"{KEPT_BYTES_MAX} of {len(large)} bytes with SHA-256 {hashlib.sha256(large).hexdigest()}"
        in row.detail
    )
    answer = await make_stuck(spec).replay(row.id, actor="op")
    assert (answer.state, answer.reason, answer.detail) == ("dead", "message_too_large", row.detail)


async def test_large_messages_are_taken_in_by_portions(db, processor, make_spec):
    """Many messages of the largest size in one batch: no transaction takes more than a few of them."""
    batch = records(*[b"x" * 900_000] * 20, topic=PAYOUTS.name)
    sizes: list[int] = []
    apply = processor._apply

    async def measured(spec, items):
        sizes.append(sum(len(item.value) for item in items))
        await apply(spec, items)

    processor._apply = measured
    await processor.process(make_spec(), batch)
    assert len(await entries(db)) == 20
    assert sum(sizes) == 20 * 900_000
    assert max(sizes) <= 4 * MIB
