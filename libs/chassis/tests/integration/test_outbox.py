"""The relay may send twice, never loses, and keeps the order of a key."""

import asyncio
import logging
from datetime import timedelta
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import REGISTRY
from sqlalchemy import text
from structlog.testing import capture_logs

from prizewire_chassis import outbox as outbox_module
from prizewire_chassis.kafka import build_producer
from prizewire_chassis.metrics import OUTBOX_AGE, OUTBOX_WAITING
from prizewire_chassis.outbox import Outbox, Relay, measure_waiting, purge_published
from prizewire_chassis.testing import make_key
from prizewire_contracts.decode import SENT_BYTES_MAX
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events.payouts import PayoutHeld, PayoutHeldEvent
from prizewire_devstack.waiting import eventually


class FakeProducer:
    """Collects what is sent; from ``fail_from`` on, deliveries fail; what is in ``fail_once`` fails the first time."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.fail_from: int | None = None
        self.fail_once: set[bytes] = set()

    async def send(self, topic: str, *, key: bytes, value: bytes, headers: object) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if value in self.fail_once:
            self.fail_once.remove(value)
            future.set_exception(ConnectionError("leader moved"))
        elif self.fail_from is not None and len(self.sent) >= self.fail_from:
            future.set_exception(ConnectionError("broker away"))
        else:
            self.sent.append(value)
            future.set_result(None)
        return future


@pytest.fixture
def events(outbox):
    def make(count: int):
        payout = uuid4()
        return [
            outbox.event(
                PayoutHeldEvent,
                PayoutHeld(payout_id=payout, reason="x"),
                subject=str(payout),
                version=version,
                correlation_id="c",
            )
            for version in range(1, count + 1)
        ]

    return make


async def waiting(db) -> int:
    async with db.transaction() as tx:
        return (await tx.execute(text("SELECT count(*) FROM outbox_waiting"))).scalar_one()


async def test_events_leave_only_with_their_transaction(db, outbox, events, clock):
    """A rolled back transaction publishes nothing; a committed one publishes in order."""
    producer = FakeProducer()
    relay = Relay(db=db, outbox=outbox, producer=producer, clock=clock)
    relay.start()
    gone, kept = events(1), events(3)
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await outbox.add(tx, gone)
            _ = 1 / 0
    async with db.transaction() as tx:
        await outbox.add(tx, kept)
    await eventually(lambda: len(producer.sent) == 3)
    await relay.stop()
    assert producer.sent == [event.value for event in kept]
    assert await waiting(db) == 0


async def test_only_the_relay_commits_before_the_log_is_on_disk(db, outbox, events, clock, monkeypatch):
    """A lost mark of what was sent leads to a second send. Every other commit is on disk when it returns, as the server is
    configured: servers of tests are configured otherwise.
    """
    seen: list[tuple[str, str]] = []
    batch = Relay._batch

    async def note(self, connection):
        seen.append(tuple(await connection.fetchrow(setting)))
        return await batch(self, connection)

    setting = (
        "SELECT setting, source IN ('session', 'client') FROM pg_settings WHERE name = 'synchronous_commit'"
    )
    monkeypatch.setattr(Relay, "_batch", note)
    relay = Relay(db=db, outbox=outbox, producer=FakeProducer(), clock=clock)
    relay.start()
    await eventually(lambda: bool(seen))
    await relay.stop()
    assert seen[0] == ("off", True)
    for seeking in (False, True):
        async with db.transaction(seeking=seeking) as tx:
            assert (await tx.execute(text(setting))).one()[1] is False


async def test_logs_name_what_was_recorded(db, outbox, events):
    """A line for each event with its correlation id, and none for a transaction that was rolled back."""
    logging.getLogger("prizewire_chassis.outbox").setLevel(logging.INFO)
    with capture_logs() as lines:
        with pytest.raises(ZeroDivisionError):
            async with db.transaction() as tx:
                await outbox.add(tx, events(1))
                _ = 1 / 0
        async with db.transaction() as tx:
            await outbox.add(tx, events(2))
    assert [(line["event"], line["correlation_id"]) for line in lines] == [("event recorded", "c")] * 2


async def test_the_relay_of_a_frozen_process_is_replaced(db, outbox, events, clock, monkeypatch):
    """Its connection is silent, so PostgreSQL closes it and another process takes the lock."""
    thawed, asleep = asyncio.Event(), asyncio.Event()

    class Frozen(Outbox):
        async def waiting(self, *, timeout_s: float) -> None:
            asleep.set()
            await thawed.wait()

    first, second = FakeProducer(), FakeProducer()
    silent = Frozen(service="payouts", key=make_key("payouts"), clock=clock)
    frozen = Relay(db=db, outbox=silent, producer=first, clock=clock)
    with monkeypatch.context() as patched:
        patched.setattr(outbox_module, "_SILENT_MAX_S", 0.3)
        frozen.start()
        await asyncio.wait_for(asleep.wait(), timeout=600)
    relay = Relay(db=db, outbox=outbox, producer=second, clock=clock)
    relay.start()
    batch = events(2)
    async with db.transaction() as tx:
        await outbox.add(tx, batch)
    await eventually(lambda: len(second.sent) == 2)
    thawed.set()
    await asyncio.gather(relay.stop(), frozen.stop())
    assert (first.sent, second.sent) == ([], [event.value for event in batch])


async def test_an_id_that_commits_late_is_not_lost(db, outbox, events, clock):
    """A lower id that becomes visible after a higher one was published is published too."""
    producer = FakeProducer()
    relay = Relay(db=db, outbox=outbox, producer=producer, clock=clock)
    early, late = events(1), events(1)
    relay.start()
    async with db.transaction() as slow:
        await outbox.add(slow, early)
        async with db.transaction() as tx:
            await outbox.add(tx, late)
        await eventually(lambda: producer.sent == [late[0].value])
    await eventually(lambda: len(producer.sent) == 2)
    await relay.stop()
    assert producer.sent == [late[0].value, early[0].value]


async def test_a_failed_send_stops_the_batch_and_is_sent_again(db, outbox, events, clock):
    """What came before the failure is marked, the rest stays in order and goes out when the broker is back."""
    producer = FakeProducer()
    producer.fail_from = 2
    relay = Relay(db=db, outbox=outbox, producer=producer, clock=clock)
    batch = events(5)
    async with db.transaction() as tx:
        await outbox.add(tx, batch)
    relay.start()
    await eventually(lambda: len(producer.sent) == 2)
    producer.fail_from = None
    await eventually(lambda: len(producer.sent) == 5)
    await relay.stop()
    assert producer.sent == [event.value for event in batch]


async def test_events_after_a_failed_send_are_sent_again_in_order(db, outbox, events, clock):
    """An event that the broker refused is not overtaken for good: what was sent after it is sent once more, in order,
    and the trouble is said.
    """
    producer = FakeProducer()
    relay = Relay(db=db, outbox=outbox, producer=producer, clock=clock)
    stored = events(5)
    batch = [event.value for event in stored]
    producer.fail_once = {batch[2]}
    async with db.transaction() as tx:
        await outbox.add(tx, stored)
    with capture_logs() as lines:
        relay.start()
        await eventually(lambda: len(producer.sent) >= 7)
        await relay.stop()
    assert producer.sent == [batch[0], batch[1], batch[3], batch[4], batch[2], batch[3], batch[4]]
    assert "relay interrupted" in [line["event"] for line in lines]


@pytest.mark.parametrize("bad", [("topic", "prizewire.nowhere.v1"), ("value", b"x" * (SENT_BYTES_MAX + 1))])
async def test_an_event_that_kafka_refuses_is_named_and_not_overtaken(
    db, owner, settings, outbox, events, clock, make_topic, bad
):
    """What is before it leaves once; it and what is behind it stay, until it is mended."""
    topic, (column, value) = make_topic(partitions=1), bad
    stored = [
        EncodedEvent(
            topic=topic, key=event.key, value=event.value, event_id=event.event_id, kind=event.kind,
            subject=event.subject,
        )
        for event in events(3)
    ]  # fmt: skip
    async with db.transaction() as tx:
        await outbox.add(tx, stored)
    wanted = getattr(stored[1], column)
    change = text(f"UPDATE outbox SET {column} = :value WHERE event_id = :id")
    async with owner.transaction() as tx:
        await tx.execute(change, {"value": value, "id": stored[1].event_id})
    producer = build_producer(settings)
    producer.client._request_timeout_ms = 2_000
    await producer.start()
    relay = Relay(db=db, outbox=outbox, producer=producer, clock=clock)

    def reported() -> list[dict[str, object]]:
        return [line for line in lines if line["event"].startswith("kafka refuses an event of the outbox")]

    with capture_logs() as lines:
        relay.start()
        await eventually(lambda: len(reported()) > 1, deadline_s=600)
    assert {(line["log_level"], line["event_id"]) for line in reported()} == {("error", stored[1].event_id)}
    assert await waiting(db) == 2
    assert REGISTRY.get_sample_value("prizewire_outbox_blocked") == 1
    async with owner.transaction() as tx:
        await tx.execute(change, {"value": wanted, "id": stored[1].event_id})

    async def empty() -> bool:
        return await waiting(db) == 0

    await eventually(empty, deadline_s=600)
    await relay.stop()
    assert REGISTRY.get_sample_value("prizewire_outbox_blocked") == 0
    consumer = AIOKafkaConsumer(topic, auto_offset_reset="earliest", **login_of(settings))
    async with consumer:
        arrived = [(await consumer.getone()).value for _ in stored]
        assert arrived == [event.value for event in stored]
        assert await consumer.end_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 3}
    await producer.stop()


def login_of(settings) -> dict[str, str]:
    """How a client logs in."""
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
    }


async def test_a_second_relay_sends_nothing_beside_the_first(db, outbox, events, clock):
    """While one relay waits for acknowledgements another one does not take what came later: it would overtake."""
    acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Slow(FakeProducer):
        async def send(self, topic, *, key, value, headers):
            self.sent.append(value)
            return acknowledged

    slow, idle = Slow(), FakeProducer()
    first = Relay(db=db, outbox=outbox, producer=slow, clock=clock)
    second = Relay(db=db, outbox=outbox, producer=idle, clock=clock)
    one, two = events(1), events(1)
    async with db.transaction() as tx:
        await outbox.add(tx, one)
    first.start()
    await eventually(lambda: slow.sent == [one[0].value])
    async with db.transaction() as tx:
        await outbox.add(tx, two)
    tries: list[bool] = []
    lock = second._lock

    async def counted(connection) -> bool:
        tries.append(await lock(connection))
        return tries[-1]

    second._lock = counted
    second.start()
    await eventually(lambda: len(tries) >= 2 or idle.sent)
    assert idle.sent == []
    acknowledged.set_result(None)
    await eventually(lambda: slow.sent == [one[0].value, two[0].value])
    await first.stop()
    await second.stop()
    assert await waiting(db) == 0


async def test_of_two_relays_one_works(db, outbox, events, clock):
    """A second relay waits for the first one's advisory lock, and takes over when it ends."""
    first_producer, second_producer = FakeProducer(), FakeProducer()
    first = Relay(db=db, outbox=outbox, producer=first_producer, clock=clock)
    second = Relay(db=db, outbox=outbox, producer=second_producer, clock=clock)
    first.start()
    async with db.transaction() as tx:
        await outbox.add(tx, events(1))
    await eventually(lambda: len(first_producer.sent) == 1)
    second.start()
    async with db.transaction() as tx:
        await outbox.add(tx, events(2))
    await eventually(lambda: len(first_producer.sent) == 3)
    assert second_producer.sent == []
    await first.stop()
    async with db.transaction() as tx:
        await outbox.add(tx, events(1))
    await eventually(lambda: len(second_producer.sent) == 1)
    await second.stop()


async def test_a_relay_that_lost_its_connection_goes_on(db, outbox, events, clock):
    """When the database ends the connection that holds the lock, the relay takes a new one and the lock again."""
    producer = FakeProducer()
    relay = Relay(db=db, outbox=outbox, producer=producer, clock=clock)
    relay.start()
    async with db.transaction() as tx:
        await outbox.add(tx, events(1))
    await eventually(lambda: len(producer.sent) == 1)
    async with db.transaction() as tx:
        ended = await tx.execute(
            text(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
                "WHERE l.locktype = 'advisory' AND d.datname = current_database()"
            )
        )
        assert ended.scalars().all() == [True]
    async with db.transaction() as tx:
        await outbox.add(tx, events(2))
    await eventually(lambda: len(producer.sent) >= 3)
    await relay.stop()
    assert await waiting(db) == 0


async def test_a_broker_that_never_answers_does_not_keep_the_service(db, outbox, events, clock):
    """The drain is bounded; what was not acknowledged stays in the outbox for the next start."""

    class Silent(FakeProducer):
        async def send(self, topic, *, key, value, headers):
            self.sent.append(value)
            return asyncio.get_running_loop().create_future()

    producer = Silent()
    relay = Relay(db=db, outbox=outbox, producer=producer, clock=clock)
    async with db.transaction() as tx:
        await outbox.add(tx, events(2))
    relay.start()
    await eventually(lambda: len(producer.sent) == 2)
    await asyncio.wait_for(relay.stop(drain_s=0.1), timeout=600)
    assert await waiting(db) == 2


async def test_committed_events_are_sent_before_the_end(db, outbox, events, clock):
    """A relay that is stopped sends every batch that is there, however many they are."""
    producer = FakeProducer()
    relay = Relay(db=db, outbox=outbox, producer=producer, clock=clock)
    batch = events(1_100)
    async with db.transaction() as tx:
        await outbox.add(tx, batch)
    relay.start()
    await relay.stop(drain_s=30)
    assert producer.sent == [event.value for event in batch]
    assert await waiting(db) == 0


async def test_the_same_event_cannot_be_stored_twice(db, outbox, events):
    """Two derivations of one event version in two transactions collide, so that two different events are never published as one version."""
    event = events(1)
    async with db.transaction() as tx:
        await outbox.add(tx, event)
    with pytest.raises(Exception, match="outbox_event_id"):
        async with db.transaction() as tx:
            await outbox.add(tx, event)


async def test_only_old_published_rows_are_purged(db, outbox, events, clock):
    """Rows that wait are kept however old; published ones go after the retention, and not before it."""
    async with db.transaction() as tx:
        await outbox.add(tx, events(2))
        await tx.execute(text("DELETE FROM outbox_waiting WHERE id = (SELECT min(id) FROM outbox)"))
    clock.advance(timedelta(days=2))
    await purge_published(db, clock=clock, keep=timedelta(days=3))
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one() == 2
    await purge_published(db, clock=clock, keep=timedelta(days=1))
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one() == 1
    assert await waiting(db) == 1


async def test_purging_ends_at_the_first_row_that_must_stay(db, owner, outbox, events, clock):
    """It reads from the lowest id and does not look for old rows behind young ones; without work it reads no more."""
    async with db.transaction() as tx:
        await outbox.add(tx, events(6))
        await tx.execute(text("DELETE FROM outbox_waiting"))
    async with owner.transaction() as tx:
        await tx.execute(
            text("UPDATE outbox SET created_at = :late WHERE id = (SELECT min(id) + 2 FROM outbox)"),
            {"late": clock.now() + timedelta(days=1)},
        )
    clock.advance(timedelta(days=2))
    assert not await purge_published(db, clock=clock, keep=timedelta(days=1, hours=12))
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one() == 4
    clock.advance(timedelta(days=2))
    assert not await purge_published(db, clock=clock, keep=timedelta(days=1))
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one() == 0


async def test_purging_reads_no_more_than_it_may_delete(db, owner):
    """A long outbox costs a bounded scan along its key, whatever number of rows follows."""
    plan_of = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT TEXT) " + str(outbox_module._PURGE).replace(
        ":before", "now()"
    ).replace(":rows", "100")
    async with owner.transaction() as tx:
        await tx.execute(
            text(
                "INSERT INTO outbox (topic, key, value, event_id, created_at) "
                "SELECT 't', '', '', n::text, now() + interval '1 day' FROM generate_series(1, 20000) n"
            )
        )
        await tx.execute(text("ANALYZE outbox"))
        plan = "\n".join(row[0] for row in await tx.execute(text(plan_of)))
    assert "Index Scan using outbox_pkey" in plan
    assert "Seq Scan on outbox " not in plan


async def test_sent_events_are_not_read_again(db, owner, outbox, events, clock):
    """Sending what waits costs the same behind 20,000 events that were sent before."""
    async with owner.transaction() as tx:
        await tx.execute(
            text(
                "INSERT INTO outbox (topic, key, value, event_id, created_at) "
                "SELECT 't', '', '', n::text, now() FROM generate_series(1, 20000) n"
            )
        )
        await tx.execute(text("ANALYZE"))
    producer = FakeProducer()
    relay = Relay(db=db, outbox=outbox, producer=producer, clock=clock)
    relay.start()
    for count in range(1, 11):
        async with db.transaction() as tx:
            await outbox.add(tx, events(1))
        await eventually(lambda sent=count: len(producer.sent) == sent)
    await relay.stop()
    await db.close()

    async def read() -> int:
        async with owner.transaction() as tx:
            await tx.execute(text("SELECT pg_stat_clear_snapshot()"))
            found = await tx.execute(
                text("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'outbox'")
            )
            return int(found.scalar_one())

    async def reported() -> bool:
        """Sessions report what they did when they end."""
        return await read() >= 10

    await eventually(reported)
    assert await read() < 1_000


async def test_the_gauges_tell_all_that_waits_and_since_when(db, outbox, events, clock):
    """More than one claim's worth is counted, also while nothing is sent; once sent, nothing waits."""
    async with db.transaction() as tx:
        await outbox.add(tx, events(600))
    clock.advance(timedelta(seconds=90))
    async with db.transaction() as tx:
        await outbox.add(tx, events(3))
    await measure_waiting(db, clock=clock)
    assert (OUTBOX_WAITING._value.get(), OUTBOX_AGE._value.get()) == (603, 90)
    producer = FakeProducer()
    relay = Relay(db=db, outbox=outbox, producer=producer, clock=clock)
    relay.start()
    await eventually(lambda: len(producer.sent) == 603)
    await relay.stop()
    await measure_waiting(db, clock=clock)
    assert (OUTBOX_WAITING._value.get(), OUTBOX_AGE._value.get()) == (0, 0)
