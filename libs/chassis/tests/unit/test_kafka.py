"""How Kafka is spoken to: nothing acknowledged too early, nothing sent twice by a retry, nothing skipped."""

import pytest
from faststream import AckPolicy

from prizewire_chassis.inbox import ConsumerSpec
from prizewire_chassis.kafka import build_broker, build_producer, subscribe
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
