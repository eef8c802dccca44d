"""The events that the services stored in their outboxes, and those that are on Kafka."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import orjson
from confluent_kafka import Consumer, TopicPartition

from prizewire_contracts.topics import TOPICS
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import RunningStack

READ_WITHIN_S = 120


@dataclass(frozen=True)
class Events:
    """Ids of events, and source, subject and version of each. ``waiting``: how many are not published yet."""

    ids: list[str]
    versions: list[tuple[str, str, int]]
    waiting: int = 0

    @classmethod
    def of(cls, values: Iterable[bytes], *, waiting: int = 0) -> "Events":
        """The events of these messages."""
        read = [orjson.loads(value) for value in values]
        return cls(
            ids=[event["id"] for event in read],
            versions=[(event["source"], event["subject"], event["aggregateversion"]) for event in read],
            waiting=waiting,
        )


def stored(stack: RunningStack) -> Events:
    """What the services' outboxes hold."""
    values: list[bytes] = []
    waiting = 0
    for service in SERVICES:
        printed = stack.postgres.run_sql("SELECT encode(value, 'hex') FROM outbox", database=service)
        values += [bytes.fromhex(line) for line in printed.split()]
        waiting += int(stack.postgres.run_sql("SELECT count(*) FROM outbox_waiting", database=service))
    return Events.of(values, waiting=waiting)


def published(stack: RunningStack) -> Events:
    """Every message on Kafka that a service wrote."""
    consumer = Consumer(
        {
            **stack.kafka.login("operator").librdkafka(),
            "group.id": "operator.none",
            "enable.auto.commit": False,
        }
    )
    ends: dict[tuple[str, int], int] = {}
    values: list[bytes] = []
    try:
        for topic in TOPICS:
            for number in range(topic.partitions):
                _, end = consumer.get_watermark_offsets(TopicPartition(topic.name, number), timeout=600)
                ends[topic.name, number] = end
        left = {place for place, end in ends.items() if end}
        consumer.assign([TopicPartition(*place, 0) for place in sorted(left)])
        deadline = time.monotonic() + READ_WITHIN_S
        while left:
            assert time.monotonic() < deadline, f"not read to their ends: {sorted(left)}"
            for message in consumer.consume(1000, timeout=0.2):
                assert message.error() is None, message.error()
                place = message.topic(), message.partition()
                values.append(message.value())
                if message.offset() + 1 >= ends[place]:
                    left.discard(place)
    finally:
        consumer.close()
    return Events.of(value for value in values if b'"source":"/prizewire/' in value)
