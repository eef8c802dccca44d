"""How Kafka is spoken to: nothing acknowledged too early, nothing sent twice by a retry, nothing skipped."""

from types import SimpleNamespace

import pytest
from faststream import AckPolicy

from prizewire_chassis.inbox import ConsumerSpec
from prizewire_chassis.kafka import build_broker, build_producer, poll_age, subscribe
from prizewire_chassis.metrics import CONSUMER_POLL_AGE
from prizewire_chassis.settings import ServiceSettings
from prizewire_contracts.topics import PAYOUTS


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


async def test_the_producer_is_idempotent_and_waits_for_all_replicas(settings):
    """The broker drops what a retry repeats, and acknowledges only what every replica in sync holds."""
    producer = build_producer(settings)
    assert producer._txn_manager is not None
    assert producer._sender._acks == -1


async def test_a_consumer_acknowledges_after_its_batch_and_misses_nothing(settings):
    """A new group begins at the oldest message, and the offset moves only when the batch was taken in."""
    broker = build_broker(settings)

    async def handler(tx, batch):
        return {}

    subscribe(broker, ConsumerSpec("rewards.payouts", PAYOUTS, handler), processor=None)
    (subscriber,) = broker.subscribers
    assert subscriber.ack_policy is AckPolicy.NACK_ON_ERROR
    assert subscriber.group_id == "rewards.payouts"
    assert subscriber._connection_args["auto_offset_reset"] == "earliest"
    assert subscriber._connection_args["enable_auto_commit"] is False


async def test_the_age_of_the_last_poll_grows_while_no_broker_answers(monkeypatch):
    """Counted from the start, from the newest answer of any partition, and on from there when partitions are lost."""
    now = 1_000.0
    monkeypatch.setattr("prizewire_chassis.kafka.time", SimpleNamespace(time=lambda: now))
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


async def test_each_consumer_is_measured_once_it_is_subscribed(settings):
    """Also one that never reaches its broker has a gauge."""

    async def handler(tx, batch):
        return {}

    subscribe(build_broker(settings), ConsumerSpec("rewards.measured", PAYOUTS, handler), processor=None)
    assert 0 <= CONSUMER_POLL_AGE.labels("rewards.measured").collect()[0].samples[0].value < 60
