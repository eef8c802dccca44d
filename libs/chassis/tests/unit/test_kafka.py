"""How Kafka is spoken to: nothing acknowledged too early, nothing sent twice by a retry, nothing skipped."""

import asyncio
import math
from hashlib import sha256
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError
from faststream import AckPolicy
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from prizewire_chassis.assignment import DurableOffsets
from prizewire_chassis.health import Health
from prizewire_chassis.inbox import ConsumerSpec, StoredOffset
from prizewire_chassis.kafka import (
    BATCH_RECORDS_MAX,
    Offsets,
    build_broker,
    build_producer,
    subscribe,
)
from prizewire_chassis.lag import Lag
from prizewire_chassis.metrics import CONSUMER_POLL_AGE
from prizewire_chassis.metrics.labels import EventOutcome
from prizewire_chassis.polls import POLL_AGE_MAX_S, ConsumerPaused, PolledConsumer, poll_age, poll_probe
from prizewire_chassis.settings import ServiceSettings
from prizewire_contracts.topics import PAYOUTS
from prizewire_devstack.waiting import eventually


@pytest.fixture
def settings(tmp_path) -> ServiceSettings:
    return ServiceSettings(
        database_url="postgresql://nobody@127.0.0.1/none",
        kafka_bootstrap_servers="127.0.0.1:1",
        kafka_sasl_username="rewards",
        kafka_sasl_password="made up",
        message_key_file=tmp_path / "key",
        trust_file=tmp_path / "trust",
    )


async def test_the_producer_has_no_id_and_waits_for_all_replicas(settings):
    """It has no producer id that an attacker could use, and needs the acknowledgement of every replica in sync."""
    producer = build_producer(settings)
    assert producer._txn_manager is None
    assert producer._sender._acks == -1


async def test_a_consumer_acknowledges_after_its_batch_and_misses_nothing(settings):
    """A new group begins at the oldest message, and its offset moves only after the batch was processed."""
    broker = build_broker(settings)

    async def handler(tx, batch):
        return {}

    subscribe(broker, ConsumerSpec("rewards.payouts", PAYOUTS, handler), processor=None)
    (subscriber,) = broker.subscribers
    assert subscriber.ack_policy is AckPolicy.MANUAL
    assert subscriber.group_id == "rewards.payouts"
    assert subscriber._connection_args["auto_offset_reset"] == "earliest"
    assert subscriber._connection_args["enable_auto_commit"] is False


class FakeConsumer:
    """A client with assigned partitions that records its calls."""

    def __init__(self, *mine: int) -> None:
        self.mine = {TopicPartition("t", number) for number in mine}
        self.committed: list[dict[TopicPartition, int]] = []
        self.sought: list[tuple[TopicPartition, int]] = []
        self.held: set[TopicPartition] = set()
        self.error: Exception | None = None

    def assignment(self) -> set[TopicPartition]:
        return self.mine

    def last_poll_timestamp(self, place: TopicPartition) -> int | None:
        return None

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.error is not None:
            raise self.error
        self.committed.append(offsets)

    def pause(self, *places: TopicPartition) -> None:
        self.held.update(places)

    def paused(self) -> set[TopicPartition]:
        return self.held & self.mine

    def resume(self, *places: TopicPartition) -> None:
        self.held.difference_update(places)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.sought.append((place, offset))


def records(*places: tuple[int, int]) -> list[SimpleNamespace]:
    return [SimpleNamespace(topic="t", partition=partition, offset=offset) for partition, offset in places]


async def test_offsets_are_committed_together_and_only_of_assigned_partitions():
    """The offset behind the last record of each partition, once for all batches since the last time."""
    consumer = FakeConsumer(0, 1)
    offsets = Offsets(SimpleNamespace(consumer=consumer), every_s=0.001)
    offsets.processed(records((0, 4), (0, 5), (2, 9)))
    offsets.processed(records((1, 7), (0, 6)))
    await eventually(lambda: bool(consumer.committed))
    assert consumer.committed == [{TopicPartition("t", 0): 7, TopicPartition("t", 1): 8}]
    await offsets.commit()
    assert len(consumer.committed) == 1, "nothing new came"


async def test_an_unavailable_broker_delays_no_request(monkeypatch):
    """A stop does not wait for a commit that never ends."""
    monkeypatch.setattr("prizewire_chassis.kafka._COMMIT_MAX_S", 0.001)
    consumer = FakeConsumer(0)
    consumer.commit = lambda offsets: asyncio.Event().wait()
    offsets = Offsets(SimpleNamespace(consumer=consumer), every_s=0.001)
    offsets.processed(records((0, 4)))
    await offsets.commit()


async def test_an_offset_that_kafka_does_not_take_is_no_failure():
    """After a rebalance: records without a committed offset are delivered again, and have no effect."""
    consumer = FakeConsumer(0)
    consumer.error = CommitFailedError()
    offsets = Offsets(SimpleNamespace(consumer=consumer), every_s=0.001)
    offsets.processed(records((0, 4)))
    await offsets.commit()
    consumer.error = None
    offsets.processed(records((0, 5)))
    await offsets.commit()
    assert consumer.committed == [{TopicPartition("t", 0): 6}]


@pytest.mark.parametrize("stopping", [False, True])
async def test_a_batch_is_counted_after_it_was_processed(settings, stopping):
    """One that failed is delivered again from its first record of each partition, and its offset is not committed; the offset
    of the last one before a stop is committed at once.
    """
    broker = build_broker(settings)
    failing = [OSError("away")]

    async def process(spec, batch):
        if failing:
            raise failing.pop()

    processor = SimpleNamespace(process=process, stopping=stopping)
    offsets = subscribe(broker, ConsumerSpec("rewards.payouts", PAYOUTS, None), processor=processor)
    (subscriber,) = broker.subscribers
    subscriber.consumer = consumer = FakeConsumer(0, 1)
    (call,) = subscriber.calls
    consume = call.handler._original_call
    with pytest.raises(OSError, match="away"):
        await consume(records((0, 4), (1, 7), (0, 5), (2, 1)))
    assert consumer.sought == [(TopicPartition("t", 0), 4), (TopicPartition("t", 1), 7)]
    assert offsets._reached == {}
    await consume(records((0, 4), (1, 7)))
    assert bool(consumer.committed) is stopping
    await offsets.commit()
    assert consumer.committed == [{TopicPartition("t", 0): 5, TopicPartition("t", 1): 8}]


@pytest.mark.parametrize(("count", "held"), [(1, {0, 1}), (BATCH_RECORDS_MAX, set())])
async def test_nothing_is_fetched_ahead_of_a_batch_that_is_not_full(settings, count, held):
    """What came meanwhile is the next batch, whole; a partition that is lost during a batch is left alone."""
    broker = build_broker(settings)
    seen = []

    async def process(spec, batch):
        seen.append({place.partition for place in consumer.paused()})
        consumer.mine.discard(TopicPartition("t", 1))
        if len(seen) == 1:
            raise OSError("away")

    processor = SimpleNamespace(process=process, stopping=False)
    subscribe(broker, ConsumerSpec("rewards.payouts", PAYOUTS, None), processor=processor)
    (subscriber,) = broker.subscribers
    subscriber.consumer = consumer = FakeConsumer(0, 1)
    (call,) = subscriber.calls
    consume = call.handler._original_call
    with pytest.raises(OSError, match="away"):
        await consume(records(*[(0, number) for number in range(count)]))
    assert seen == [held]
    assert consumer.paused() == set(), "also after a failure"
    await consume(records(*[(0, number) for number in range(count)]))
    assert seen[1] == held - {1}
    assert consumer.paused() == set()


async def test_the_age_of_the_last_poll_grows_while_no_broker_answers(monkeypatch):
    """Counted from the start, from the newest answer of any partition, and on from there when partitions are lost."""
    now = 1_000.0
    monkeypatch.setattr(
        "prizewire_chassis.polls.time", SimpleNamespace(time=lambda: now, monotonic=lambda: now)
    )
    stamps: dict[int, int | None] = {0: None, 1: None}
    consumer = SimpleNamespace(assignment=lambda: set(stamps), last_poll_timestamp=stamps.get)
    subscriber = SimpleNamespace(consumer=None)
    age = poll_age(subscriber)
    now = 1_005.0
    assert age() == 5
    subscriber.consumer = consumer
    assert age() == 5
    stamps.update({0: 1_004_000, 1: 1_002_000})
    assert age() == 1
    stamps.clear()
    now = 1_064.0
    assert age() == 60


async def test_the_age_grows_where_an_idle_consumer_gets_no_answer(monkeypatch):
    """It has no partitions. The newest answer on any connection counts, and none counts once there is no connection."""
    now = 1_000.0
    monkeypatch.setattr(
        "prizewire_chassis.polls.time", SimpleNamespace(time=lambda: now + 5_000, monotonic=lambda: now)
    )
    consumer = PolledConsumer("idle")
    connections = {1: SimpleNamespace(_last_action=990.0), 2: SimpleNamespace(_last_action=1_058.0)}
    monkeypatch.setattr(consumer, "assignment", set)
    monkeypatch.setattr(consumer, "_client", SimpleNamespace(_conns=connections))
    monkeypatch.setattr(consumer.polls, "age", lambda: 0.0)
    age = poll_age(SimpleNamespace(consumer=consumer))
    now = 1_060.0
    assert age() == 2
    connections.clear()
    now = 1_120.0
    assert age() == 62
    consumer._closed = True


async def test_each_consumer_is_measured_once_it_is_subscribed(settings):
    """Also one that never reaches its broker has its gauges, and the counters that alerts watch begin with 0."""

    async def handler(tx, batch):
        return {}

    subscribe(build_broker(settings), ConsumerSpec("rewards.measured", PAYOUTS, handler), processor=None)
    assert 0 <= CONSUMER_POLL_AGE.labels("rewards.measured").collect()[0].samples[0].value < 60
    mine = {"consumer": "rewards.measured"}
    shown = {
        "rewound_total": mine,
        "offsets_wrong_total": {**mine, "reason": "past_end"},
    }
    for name, labels in shown.items():
        assert REGISTRY.get_sample_value(f"prizewire_consumer_{name}", labels) == 0
    for name in ("messages", "seconds"):
        assert math.isnan(REGISTRY.get_sample_value(f"prizewire_consumer_lag_{name}", mine))
    for outcome in EventOutcome:
        one = {**mine, "outcome": outcome}
        assert REGISTRY.get_sample_value("prizewire_events_total", one) == 0


async def test_the_lag_is_not_known_while_no_broker_answers(settings, monkeypatch):
    """It was 0 before Kafka was lost, and must not look like 0 afterwards; nor may it alert. With the next answer it is known again."""
    place, now = TopicPartition("prizewire.payouts.v1", 0), 1_000.0
    monkeypatch.setattr("prizewire_chassis.lag.time", SimpleNamespace(time=lambda: now))
    answered: dict[TopicPartition, int] = {}
    state = SimpleNamespace(position=7, has_valid_position=True)
    assignment = SimpleNamespace(state_value=lambda _: state)
    client = SimpleNamespace(
        assignment=lambda: {place},
        last_poll_timestamp=answered.get,
        highwater=lambda _: 9,
        _subscription=SimpleNamespace(subscription=SimpleNamespace(assignment=assignment)),
    )
    lag = Lag(client)
    monkeypatch.setattr("prizewire_chassis.kafka.lag_of", lambda *_: lag)
    offsets = subscribe(
        build_broker(settings), ConsumerSpec("rewards.unknown", PAYOUTS, None), processor=None
    )
    assert offsets.lag() is lag

    def shown(name):
        return REGISTRY.get_sample_value(f"prizewire_consumer_lag_{name}", {"consumer": "rewards.unknown"})

    assert math.isnan(shown("messages"))
    answered[place] = 1_000_000
    assert (shown("messages"), shown("seconds")) == (2, 0)
    now = 1_059.0
    assert shown("messages") == 2
    assert shown("seconds") == 59
    now = 1_061.0
    assert math.isnan(shown("messages"))
    assert math.isnan(shown("seconds"))
    answered[place] = 1_061_000
    assert shown("messages") == 2


class Assigned:
    """A client that writes down what is asked of it, and a database that answers at the second question."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []
        self.consumer = self
        self.stopping = False
        self.stored = {0: StoredOffset(7, sha256(b"six").digest())}
        self.first, self.end = 0, 9
        self.failures: dict[str, Exception] = {"read": ConnectionRefusedError("away")}
        self.failing_seen: list[bool] = []
        self.start: DurableOffsets | None = None

    def _fail(self, what: str) -> None:
        if self.start is not None:
            self.failing_seen.append(self.start.failing)
        if what in self.failures:
            raise self.failures.pop(what)

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(PAYOUTS.name, number) for number in (0, 1)}

    def pause(self, *places: TopicPartition) -> None:
        self.asked.append(("pause", set(places)))

    def resume(self, *places: TopicPartition) -> None:
        self.asked.append(("resume", set(places)))

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._fail("seek")
        self.asked.append(("seek", (place.partition, offset)))

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._fail("beginning")
        return dict.fromkeys(places, self.first)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, self.end)

    async def committed(self, place: TopicPartition) -> int:
        self._fail("committed")
        return 9

    async def stored_offsets(self, spec: ConsumerSpec, partitions: set[int]) -> dict[int, StoredOffset]:
        self.asked.append(("read", partitions))
        self._fail("read")
        return self.stored

    async def reset_offset(self, spec: ConsumerSpec, *, partition: int, offset: int) -> None:
        self._fail("begin")
        self.asked.append(("begin", (partition, offset)))
        self.stored[partition] = StoredOffset(offset, None)

    def sought(self) -> set[object]:
        return {entry for what, entry in self.asked if what == "seek"}


@pytest.fixture
def world() -> Assigned:
    return Assigned()


@pytest.fixture
def start(world: Assigned) -> DurableOffsets:
    world.start = DurableOffsets(ConsumerSpec("rewards.begins", PAYOUTS, handler=None), world, pause_s=0.0)
    world.start.watch(world)
    return world.start


def wrong_offsets(reason: str) -> float:
    labels = {"consumer": "rewards.begins", "reason": reason}
    return REGISTRY.get_sample_value("prizewire_consumer_offsets_wrong_total", labels) or 0.0


async def test_a_former_owner_that_still_commits_is_no_group_ahead(world, start):
    """A batch that was under way at the rebalance is committed in the database and then in Kafka, between any two questions."""
    world.failures = {}
    reached = [7, 7]

    async def committed(place: TopicPartition) -> int:
        kafka = reached[1]
        reached[:] = [reached[0] + 1, reached[0] + 1]
        return kafka

    async def stored_offsets(spec: ConsumerSpec, partitions: set[int]) -> dict[int, StoredOffset]:
        database = reached[0]
        reached[:] = [reached[0] + 1, reached[0] + 1]
        return {partition: StoredOffset(database, sha256(b"six").digest()) for partition in partitions}

    world.committed, world.stored_offsets, world.end = committed, stored_offsets, 20
    with capture_logs() as lines:
        await start.on_partitions_assigned(world.assignment())
    assert [line for line in lines if line["log_level"] == "error"] == []
    assert world.sought() == {(0, 8), (1, 8)}


async def test_nothing_is_fetched_before_the_database_says_where_to_begin(world, start):
    """Partitions are paused first, and go on once each was moved: to the message before the stored offset, which is
    compared; one that the database does not know starts at its beginning.
    """
    await start.on_partitions_assigned(world.assignment())
    assert world.sought() == {(0, 6), (1, 0)}
    asked = [what for what, _ in world.asked]
    assert asked == ["pause", "read", "pause", "read", "seek", "seek", "resume"]
    assert start.seeking == set()


@pytest.mark.parametrize("what", ["read", "beginning", "seek", "begin"])
async def test_whatever_raises_at_an_assignment_is_tried_again(world, start, what):
    """The client goes on after an exception, and the partitions would stay paused: meanwhile the consumer is not ready."""
    world.failures = {what: ValueError("unforeseen")}
    world.end = 5
    probe = poll_probe(world, start)
    await start.on_partitions_assigned(world.assignment())
    assert world.failures == {}
    assert True in world.failing_seen
    assert world.asked[-1][0] == "resume"
    await probe()
    start.failing = True
    with pytest.raises(ConsumerPaused):
        await probe()


@pytest.mark.parametrize(
    ("reached", "first", "end", "reason"),
    [
        (StoredOffset(10, b"h"), 0, 9, "past_end"),
        (StoredOffset(10**9, b"h"), 2, 9, "past_end"),
        (StoredOffset(2**63 - 1, None), 0, 0, "past_end"),
        (StoredOffset(7, None), 0, 9, "no_hash"),
        (StoredOffset(3, b"h"), 5, 9, "deleted"),
        (StoredOffset(9, b"h"), 0, 9, None),
        (StoredOffset(5, b"h"), 5, 9, None),
        (StoredOffset(0, None), 0, 0, None),
        (None, 5, 9, None),
    ],
)
async def test_an_offset_that_is_not_of_the_log_begins_at_its_beginning(
    world, start, reached, first, end, reason
):
    """It is logged and counted, and the stored offset is set to the start of reading."""
    world.failures = {}
    world.stored = {} if reached is None else {0: reached}
    world.first, world.end = first, end
    before = 0.0 if reason is None else wrong_offsets(reason)
    with capture_logs() as lines:
        await start.on_partitions_assigned({TopicPartition(PAYOUTS.name, 0)})
    begun = [entry for what, entry in world.asked if what == "begin"]
    if reason is None:
        assert begun == []
        wanted = 8 if reached == StoredOffset(9, b"h") else first
        assert world.sought() == {(0, wanted)}
        return
    assert world.sought() == {(0, first)}
    assert begun == [(0, first)]
    assert wrong_offsets(reason) == before + 1
    line = next(line for line in lines if line["log_level"] == "error")
    assert (line["topic"], line["partition"], line["reason"]) == (PAYOUTS.name, 0, reason)
    assert (line["database"], line["kafka_first"], line["kafka_next"]) == (reached.next_offset, first, end)


def messages(*known: tuple[int, int, bytes]) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(topic=PAYOUTS.name, partition=partition, offset=offset, value=value)
        for partition, offset, value in known
    ]


async def test_the_message_before_a_stored_offset_is_compared_and_left_out(world, start):
    """The others are fetched once; other partitions are processed meanwhile."""
    world.failures = {}
    world.stored[1] = StoredOffset(4, sha256(b"three").digest())
    await start.on_partitions_assigned(world.assignment())
    batch = messages((0, 6, b"six"), (0, 7, b"seven"), (1, 8, b"eight"))
    assert await start.checked(batch) == batch[1:]
    again = messages((0, 6, b"six"))
    assert await start.checked(again) == again
    assert not [entry for what, entry in world.asked if what == "begin"]


@pytest.mark.parametrize("found", [(6, b"another"), (0, b"zero")])
async def test_another_message_before_a_stored_offset_is_another_log(world, start, found):
    """A log that was created again and has grown past the stored offset, or that ends before it by now: nothing of it is taken
    in before it is read from its beginning. A failure meanwhile leaves all as it was.
    """
    world.failures = {}
    await start.on_partitions_assigned(world.assignment())
    before, world.asked = wrong_offsets("other_message"), []
    batch = messages((0, *found), (0, 7, b"seven"), (1, 0, b"mine"))
    world.failures = {"begin": OSError("away")}
    with pytest.raises(OSError, match="away"):
        await start.checked(batch)
    assert world.asked == []
    assert await start.checked(batch) == batch[2:]
    assert world.asked == [("begin", (0, 0)), ("seek", (0, 0))]
    assert wrong_offsets("other_message") == before + 2
    again = messages((0, 0, b"zero"), (0, 6, b"another"))
    assert await start.checked(again) == again


async def test_messages_of_other_partitions_are_not_compared(world, start):
    """The same offset in another partition is another message."""
    world.failures = {}
    await start.on_partitions_assigned(world.assignment())
    elsewhere = messages((1, 6, b"another"), (1, 2, b"two"))
    assert await start.checked(elsewhere) == elsewhere
    assert not [entry for what, entry in world.asked if what == "begin"]
    mine = messages((0, 6, b"six"), (0, 7, b"seven"))
    assert await start.checked(mine) == mine[1:]


async def test_a_new_assignment_drops_the_former_comparison(world, start):
    """The database was restored meanwhile, and knows nothing of the partition: its log is read from its beginning."""
    world.failures = {}
    await start.on_partitions_assigned(world.assignment())
    world.stored = {}
    await start.on_partitions_assigned(world.assignment())
    batch = messages((0, 0, b"zero"), (0, 6, b"another"))
    assert await start.checked(batch) == batch
    assert not [entry for what, entry in world.asked if what == "begin"]


async def test_a_new_assignment_during_a_comparison_stays(world, start, monkeypatch):
    """The partition was moved by it, and its own message is compared next."""
    world.failures = {}
    await start.on_partitions_assigned(world.assignment())
    world.asked = []

    async def reset_offset(spec: ConsumerSpec, *, partition: int, offset: int) -> None:
        world.stored = {0: StoredOffset(9, sha256(b"eight").digest())}
        await start.on_partitions_assigned({TopicPartition(PAYOUTS.name, 0)})

    monkeypatch.setattr(world, "reset_offset", reset_offset)
    assert await start.checked(messages((0, 6, b"another"))) == []
    assert world.sought() == {(0, 8)}
    batch = messages((0, 8, b"eight"), (0, 9, b"nine"))
    assert await start.checked(batch) == batch[1:]


@pytest.mark.parametrize("error", [None, KafkaError("away"), TimeoutError()])
async def test_an_offset_of_kafka_ahead_of_the_database_is_logged_and_not_used(world, start, error):
    """Reading begins where the database says; where Kafka has no offset of the group, nothing is logged."""
    world.failures = {} if error is None else {"committed": error}
    labels = {"consumer": "rewards.begins"}
    before = REGISTRY.get_sample_value("prizewire_consumer_rewound_total", labels) or 0.0
    with capture_logs() as lines:
        await start.on_partitions_assigned({TopicPartition(PAYOUTS.name, 0)})
    assert world.sought() == {(0, 6)}
    assert [what for what, _ in world.asked].count("read") == 1
    logged = [(line["kafka"], line["database"]) for line in lines if "kafka" in line]
    assert logged == ([(9, 7)] if error is None else [])
    after = REGISTRY.get_sample_value("prizewire_consumer_rewound_total", labels) or 0.0
    assert after - before == (2 if error is None else 0)


@pytest.mark.parametrize("what", ["beginning_offsets", "end_offsets", "committed"])
async def test_a_broker_that_does_not_answer_delays_no_assignment(world, start, monkeypatch, what):
    """It is asked again, and what it is only asked for a warning is left out."""
    monkeypatch.setattr("prizewire_chassis.assignment._ASK_MAX_S", 0.01)
    world.failures = {}
    answers, silent = getattr(world, what), [True]

    async def ask(places: object) -> object:
        while silent and silent.pop():
            await asyncio.Event().wait()
        return await answers(places)

    monkeypatch.setattr(world, what, ask)
    await asyncio.wait_for(start.on_partitions_assigned(world.assignment()), timeout=600)
    assert world.sought() == {(0, 6), (1, 0)}
    assert [what for what, _ in world.asked].count("read") == (1 if what == "committed" else 2)


async def test_a_stop_ends_the_tries_of_an_assignment(world, start, monkeypatch):
    """The partitions stay paused, so that no message is processed from a wrong offset."""

    async def away(*_: object) -> dict[int, StoredOffset]:
        world.stopping = True
        raise ConnectionRefusedError("away")

    world.failures = {}
    monkeypatch.setattr(world, "stored_offsets", away)
    await asyncio.wait_for(start.on_partitions_assigned(world.assignment()), timeout=600)
    assert [what for what, _ in world.asked] == ["pause"]
    assert start.failing


async def test_a_batch_that_ends_during_an_assignment_leaves_its_partitions_paused(settings):
    """They go on once it is known where they begin."""
    broker = build_broker(settings)
    known, working, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Processor:
        stopping = False

        async def process(self, *_: object) -> None:
            working.set()
            await done.wait()

        async def stored_offsets(self, *_: object) -> dict[int, StoredOffset]:
            await known.wait()
            return {}

    subscribe(broker, ConsumerSpec("rewards.payouts", PAYOUTS, None), processor=Processor())
    (subscriber,) = broker.subscribers
    subscriber.consumer = consumer = FakeConsumer(0, 1)
    consumer.beginning_offsets = consumer.end_offsets = AsyncMock(
        side_effect=lambda places: dict.fromkeys(places, 0)
    )
    consumer.committed, consumer.commit = AsyncMock(return_value=None), AsyncMock()
    (call,) = subscriber.calls
    batch = asyncio.create_task(call.handler._original_call(records((0, 1))))
    await working.wait()
    start = subscriber._listener
    moving = {TopicPartition("t", 1)}
    assigning = asyncio.create_task(start.on_partitions_assigned(moving))
    await eventually(lambda: start.seeking == moving)
    done.set()
    await batch
    assert consumer.paused() == moving
    known.set()
    await assigning
    assert consumer.paused() == set()


class Clock:
    """Stands for the module ``time``."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


async def test_a_consumer_whose_polls_raise_is_not_ready(settings, monkeypatch):
    """The loop of FastStream goes on after an error, and after a poll that answered for another partition: the age rises
    all the same, and falls once no poll has raised for a while. A loop that ended polls no more.
    """
    clock = Clock()
    monkeypatch.setattr("prizewire_chassis.polls.time", clock)
    raising = [True]
    polled = []

    async def fetched(partitions, seconds, max_records):
        await asyncio.sleep(0)
        polled.append(seconds)
        clock.now += 8
        if raising[0] and len(polled) % 2:
            raise KafkaError("as a fetch does")
        return {}

    broker = build_broker(settings)
    health = Health()
    health.started = True
    spec = ConsumerSpec("rewards.raising", PAYOUTS, None)
    subscribe(broker, spec, SimpleNamespace(stopping=False), health)
    (subscriber,) = broker.subscribers
    assert await health.failing() == {}
    await broker.connect()
    subscriber.consumer = consumer = subscriber.builder(group_id=spec.name)
    assert isinstance(consumer, PolledConsumer)
    monkeypatch.setattr(consumer, "_coordinator", SimpleNamespace(check_errors=lambda: None))
    monkeypatch.setattr(consumer, "_fetcher", SimpleNamespace(fetched_records=fetched))
    monkeypatch.setattr(consumer, "assignment", set)
    age = poll_age(subscriber)
    monkeypatch.setattr("anyio.sleep", AsyncMock())
    subscriber.running = True

    async def loop_until(condition) -> None:
        task = asyncio.create_task(subscriber._run_consume_loop(consumer))
        await eventually(condition)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await loop_until(lambda: clock.now > 1_000 + 2 * POLL_AGE_MAX_S)
    assert await health.failing() == {"consumer rewards.raising": "ConsumerStalled"}
    assert age() > POLL_AGE_MAX_S
    raising.clear()
    raising.append(False)
    done = len(polled) + 10
    await loop_until(lambda: len(polled) > done)
    assert await health.failing() == {}
    clock.now += POLL_AGE_MAX_S + 1
    assert await health.failing() == {"consumer rewards.raising": "ConsumerStalled"}
    consumer._closed = True


async def test_a_message_after_an_empty_poll_does_not_wait(settings, monkeypatch):
    """After an empty poll FastStream would sleep: the consumer polls again instead."""
    polls: list[dict[TopicPartition, list[SimpleNamespace]]] = [
        {},
        {},
        {TopicPartition("t", 0): records((0, 1))},
    ]

    async def fetched(*places, max_records):
        return polls.pop(0)

    broker = build_broker(settings)
    spec = ConsumerSpec("rewards.payouts", PAYOUTS, None)
    subscribe(broker, spec, SimpleNamespace(stopping=False))
    (subscriber,) = broker.subscribers
    await broker.connect()
    consumer = subscriber.builder(group_id=spec.name)
    monkeypatch.setattr(consumer, "_coordinator", SimpleNamespace(check_errors=lambda: None))
    monkeypatch.setattr(consumer, "_fetcher", SimpleNamespace(fetched_records=fetched))
    slept = AsyncMock()
    monkeypatch.setattr("anyio.sleep", slept)
    found = await subscriber.get_msg(consumer)
    assert [record.offset for record in found] == [1]
    slept.assert_not_called()
    consumer._closed = True
