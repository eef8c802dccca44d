"""Where a consumer begins over real Kafka when its database's offset is not of the topic's log."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from libs.chassis.tests.integration.inbox_rig import effects, held, stuck_rows
from prizewire_chassis.health import Health
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec, StoredOffset, never
from prizewire_chassis.kafka import build_broker, subscribe
from prizewire_chassis.record_batches import UNPACKED_BYTES_MAX
from prizewire_chassis.testing import make_key
from prizewire_contracts.encode import sign_raw
from prizewire_contracts.topics import PAYOUTS
from prizewire_devstack.waiting import eventually

BOMB_BYTES = 4 * UNPACKED_BYTES_MAX
RAISE = "UPDATE consumer_offsets SET next_offset = next_offset + :by"


@pytest.fixture
def topic(make_topic: Callable[..., str]):
    """A topic of one partition."""
    return replace(PAYOUTS, name=make_topic(partitions=1))


@pytest.fixture
def send(kafka_server, topic, outbox):
    """A function that publishes authentic events, each in a batch of its own, and returns their ids."""
    login = kafka_server.login("payouts")

    async def send(count: int) -> list[str]:
        producer = AIOKafkaProducer(
            bootstrap_servers=login.bootstrap_servers, security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="SCRAM-SHA-512", sasl_plain_username=login.username, sasl_plain_password=login.password,
        )  # fmt: skip
        events = [held(outbox, uuid4(), 1) for _ in range(count)]
        async with producer:
            for event in events:
                raw = sign_raw(topic=topic.name, raw=orjson.loads(event.value), key=make_key("payouts"))
                await producer.send_and_wait(topic.name, value=orjson.dumps(raw))
        return [event.event_id for event in events]

    return send


@pytest.fixture
def spec(topic, handler) -> ConsumerSpec:
    return ConsumerSpec(f"rewards.test-{uuid4().hex[:8]}", topic, handler, never)


@pytest.fixture
def health() -> Health:
    health = Health()
    health.started = True
    return health


@pytest.fixture
def consuming(settings, spec: ConsumerSpec, processor: BatchProcessor, health: Health):
    """A context in which the topic is consumed, each time by the same group. It ends without committing offsets to Kafka."""

    @asynccontextmanager
    async def run() -> AsyncIterator[None]:
        broker = build_broker(settings)
        subscribe(broker, spec, processor, health)
        await broker.start()
        try:
            yield
        finally:
            await broker.stop()

    return run


@pytest.fixture
def took(db, consuming):
    """A function that consumes until exactly these events were applied, each once."""

    async def took(wanted: list[str]) -> None:
        async def all_are() -> bool:
            return set(await effects(db)) >= set(wanted)

        async with consuming():
            await eventually(all_are, deadline_s=600)
        assert sorted(await effects(db)) == sorted(wanted)

    return took


async def change(db, statement: str, **values: int) -> None:
    async with db.transaction() as tx:
        await tx.execute(text(statement), values)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def wrong(spec: ConsumerSpec) -> dict[str, float]:
    reasons = ("past_end", "other_message", "no_hash", "deleted")
    counts = {
        reason: counted("prizewire_consumer_offsets_wrong_total", consumer=spec.name, reason=reason)
        for reason in reasons
    }
    return {reason: count for reason, count in counts.items() if count}


@pytest.mark.parametrize("by", [6, 10**9, 2**62])
async def test_an_offset_behind_the_end_of_the_log_loses_nothing(db, processor, spec, send, took, by):
    """Kafka lost messages, or a person raised the number: the log is read from its beginning, the stored offset follows,
    and messages that come while the service is down are processed once the log has grown past the wrong number.
    """
    events = await send(3)
    await took(events)
    await change(db, RAISE, by=by)
    events += await send(1)
    await took(events)
    assert wrong(spec) == {"past_end": 1}
    assert (await processor.stored_offsets(spec, {0}))[0].next_offset == len(events)
    events += await send(12)
    await took(events)
    assert wrong(spec) == {"past_end": 1}


async def test_a_topic_that_was_created_again_and_has_grown_loses_nothing(
    kafka_server, topic, processor, spec, send, took
):
    """The number alone does not show it: the message before the stored offset is another one."""
    events = await send(3)
    await took(events)
    kafka_server.delete_topics([topic.name])
    kafka_server.create_topics({topic.name: 1})
    others = await send(5)
    await took(events + others)
    assert wrong(spec) == {"other_message": 1}
    assert (await processor.stored_offsets(spec, {0}))[0].next_offset == len(others)


@pytest.mark.parametrize("hash_", ["last_hash", "NULL"])
async def test_an_offset_that_was_raised_within_the_log_loses_nothing(db, spec, send, took, hash_):
    """A person with the database login of a service can raise the number; the hash is then that of another message."""
    events = await send(3)
    await took(events)
    await change(db, f"{RAISE}, last_hash = {hash_}", by=2)
    events += await send(5)
    await took(events)
    assert wrong(spec) == {"other_message" if hash_ == "last_hash" else "no_hash": 1}


async def test_a_restart_processes_nothing_twice(db, processor, spec, send, took, consuming):
    """The message that is compared counts as nothing that came."""
    events = await send(3)
    await took(events)
    for count in (0, 2):
        events += await send(count)
        await took(events)
    assert wrong(spec) == {}
    assert counted("prizewire_events_total", consumer=spec.name, outcome="duplicate") == 0
    assert counted("prizewire_events_total", consumer=spec.name, outcome="applied") == len(events)


async def test_a_restart_after_an_unreadable_batch_processes_nothing_twice(
    db, kafka_server, topic, spec, send, took, consuming
):
    """What stands for the batch is the same when it is read again."""
    login = kafka_server.login("payouts")
    producer = AIOKafkaProducer(
        bootstrap_servers=login.bootstrap_servers, security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512", sasl_plain_username=login.username, sasl_plain_password=login.password,
        compression_type="gzip", max_request_size=BOMB_BYTES * 2, max_batch_size=BOMB_BYTES * 2,
    )  # fmt: skip
    async with producer:
        await producer.send_and_wait(topic.name, value=b"\0" * BOMB_BYTES)

    async def kept() -> bool:
        return await stuck_rows(db) == [("dead", "batch_unreadable")]

    async with consuming():
        await eventually(kept, deadline_s=600)
    await took(await send(1))
    assert await kept()
    assert wrong(spec) == {}


async def test_a_consumer_that_cannot_begin_is_not_ready_and_begins_later(
    db, processor, spec, send, took, consuming, health, monkeypatch
):
    """Whatever raises: its partitions are paused meanwhile, and readiness names it."""
    events = await send(1)
    reached, asked, broken = processor.stored_offsets, [], [True]

    async def unforeseen(*args: object) -> dict[int, StoredOffset]:
        asked.append(args)
        if broken:
            raise ArithmeticError("unforeseen")
        return await reached(*args)

    monkeypatch.setattr(processor, "stored_offsets", unforeseen)
    async with consuming():
        await eventually(lambda: len(asked) > 1, deadline_s=600)
        assert await health.failing() == {f"consumer {spec.name}": "ConsumerPaused"}
        assert await effects(db) == []
        broken.clear()

        async def applied() -> bool:
            return await effects(db) == events

        await eventually(applied, deadline_s=600)
        assert await health.failing() == {}


async def test_a_stored_offset_is_never_negative(db, spec, send, took):
    """Not even the login of the service can store one."""
    await took(await send(1))
    with pytest.raises(IntegrityError, match="consumer_offsets_next_offset_check"):
        await change(db, RAISE, by=-5)
