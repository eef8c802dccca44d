"""Kafka clients of a service: consumers of batches, and a producer that waits for all in-sync replicas, over SASL/SCRAM."""

import asyncio
import logging
import math
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.security import BaseSecurity, SASLScram512

from prizewire_chassis.assignment import DurableOffsets, Subscribed
from prizewire_chassis.health import Health
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec
from prizewire_chassis.lag import Lag
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import (
    CONSUMER_LAG,
    CONSUMER_LAG_SECONDS,
    CONSUMER_POLL_AGE,
    DISCARDED,
    EVENTS,
    OFFSETS_WRONG,
    RETRIES,
    REWOUND,
)
from prizewire_chassis.metrics.definitions import start_at_zero
from prizewire_chassis.polls import PolledConsumer, lag_of, poll_age, poll_probe
from prizewire_chassis.record_batches import read_within_bounds
from prizewire_chassis.settings import ConfigurationError, ServiceSettings
from prizewire_contracts.decode import SENT_BYTES_MAX

BATCH_RECORDS_MAX = 500
_BATCH_TIMEOUT_MS = 100
"""How long a poll waits for messages, in milliseconds. The first message ends the wait."""
_COMMIT_MAX_S = 5.0
"""How long a commit of offsets may take, in seconds. The client retries while its broker is unavailable, and a stop must not wait
for that.
"""
_log = get_logger(__name__)

Records = tuple[ConsumerRecord, ...]
OriginalParser = Callable[[Records], Awaitable[KafkaMessage]]


def tls_context(settings: ServiceSettings) -> ssl.SSLContext | None:
    """What the brokers' certificates are checked with; None where connections are not encrypted.

    Raises:
        ConfigurationError: KAFKA_CA_FILE is missing, or has no certificate.
    """
    if settings.kafka_security_protocol != "SASL_SSL":
        return None
    try:
        return ssl.create_default_context(cafile=settings.kafka_ca_file)
    except OSError as error:
        why = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        name = "" if settings.kafka_ca_file is None else f" {settings.kafka_ca_file.name}"
        raise ConfigurationError(f"KAFKA_CA_FILE{name} cannot be used: {why}") from None


class _Broker(KafkaBroker):
    """A broker whose consumers record the results of their polls."""

    async def _connect(self) -> Callable[..., AIOKafkaConsumer]:
        builder = await super()._connect()
        assert isinstance(builder, partial), "FastStream builds its consumers in another way"
        self.config.broker_config.builder = partial(PolledConsumer, **builder.keywords)
        return self.config.broker_config.builder


def build_broker(settings: ServiceSettings) -> KafkaBroker:
    """A FastStream broker for consuming. Its own producer is not used: events leave through the outbox."""
    read_within_bounds()
    context = tls_context(settings)
    security: BaseSecurity = SASLScram512(
        username=settings.kafka_sasl_username,
        password=settings.kafka_sasl_password.get_secret_value(),
        use_ssl=context is not None,
        ssl_context=context,
    )
    return _Broker(
        settings.kafka_bootstrap_servers.split(","),
        client_id=settings.kafka_sasl_username,
        security=security,
        consumer_only=True,
        allow_auto_create_topics=False,
        apply_types=False,
        ack_policy=AckPolicy.MANUAL,
        graceful_timeout=20.0,
        logger=logging.getLogger("prizewire_chassis.faststream"),
    )


def build_producer(settings: ServiceSettings) -> AIOKafkaProducer:
    """The relay's producer: acknowledged by all in-sync replicas, batched, one request for a partition at a time.

    It is not idempotent. Everybody who reads a topic knows the producer id. Another writer of the topic can send a record
    under it, which stops the producer or makes the broker drop its records (decision 26). Consumers deduplicate.
    """
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers.split(","),
        client_id=f"{settings.kafka_sasl_username}-relay",
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        sasl_plain_username=settings.kafka_sasl_username,
        sasl_plain_password=settings.kafka_sasl_password.get_secret_value(),
        ssl_context=tls_context(settings),
        enable_idempotence=False,
        acks="all",
        linger_ms=2,
        max_batch_size=256 * 1024,
        max_request_size=SENT_BYTES_MAX,
        request_timeout_ms=15_000,
    )


async def _bare_parser(records: Records, original: OriginalParser) -> KafkaMessage:
    """Drop record headers before FastStream decodes them: bytes that are not UTF-8 would stop the partition."""
    return await original(
        tuple(replace(record, headers=()) if record.headers else record for record in records)
    )


async def _raw_decoder(message: KafkaMessage) -> Any:
    return message.raw_message


class Offsets:
    """Commits a consumer group's offsets to Kafka, after the database's commit and while the next batch is processed.

    Each batch's transaction stores its offsets and deduplicates its messages. So the offsets need not be committed to Kafka
    before the next batch begins. After a crash Kafka delivers again what was not committed, without effect.
    """

    def __init__(self, subscriber: Subscribed, *, every_s: float = 0.2) -> None:
        self._subscriber = subscriber
        self._every_s = every_s
        self._reached: dict[TopicPartition, int] = {}
        self._task: asyncio.Task[None] | None = None
        self.lag: Callable[[], Lag | None] = lambda: None
        """Returns the lag of the consumer; None before its start."""

    def processed(self, records: Sequence[ConsumerRecord]) -> None:
        """These records are committed in the database, in this order. Their offsets are committed to Kafka soon."""
        for record in records:
            self._reached[TopicPartition(record.topic, record.partition)] = record.offset + 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._later(), name="kafka offsets")

    async def commit(self) -> None:
        """Commit now. Skip partitions revoked since: their new consumer gets these records again."""
        consumer = self._subscriber.consumer
        reached, self._reached = self._reached, {}
        assigned = consumer.assignment() if consumer is not None else frozenset()
        offsets = {partition: offset for partition, offset in reached.items() if partition in assigned}
        if not offsets or consumer is None:
            return
        try:
            await asyncio.wait_for(consumer.commit(offsets), timeout=_COMMIT_MAX_S)
        except (KafkaError, TimeoutError) as error:
            _log.warning(
                "offsets not committed to kafka; these records may be delivered again", error=repr(error)
            )

    def rewind(self, records: Sequence[ConsumerRecord]) -> None:
        """These records were not processed: seek back, so that they are delivered again."""
        consumer = self._subscriber.consumer
        if consumer is None:
            return
        first: dict[TopicPartition, int] = {}
        for record in records:
            first.setdefault(TopicPartition(record.topic, record.partition), record.offset)
        for place, offset in first.items():
            if place in consumer.assignment():
                consumer.seek(place, offset)

    async def ask_for_ends(self) -> bool:
        """The run of a job that keeps the lag current. Returns false, since it has no more work."""
        lag = self.lag()
        if lag is not None:
            await lag.ask()
        return False

    async def _later(self) -> None:
        while self._reached:
            await asyncio.sleep(self._every_s)
            await self.commit()


@contextmanager
def _pause_fetching(
    consumer: AIOKafkaConsumer | None, records: Sequence[ConsumerRecord], *, start: DurableOffsets
) -> Iterator[None]:
    """Fetch nothing while a batch is processed, so that the next batch holds all messages that arrived in the meantime.

    The client fetches ahead once, and not again before those messages are consumed (aiokafka 0.14, ``Fetcher``). So the next
    batch would hold only the first few messages, and all others would wait for another batch. After a full batch more
    messages are there anyway, and fetching ahead saves time.
    """
    if consumer is None or len(records) >= BATCH_RECORDS_MAX:
        yield
        return
    consumer.pause(*consumer.assignment())
    try:
        yield
    finally:
        consumer.resume(*consumer.paused() - start.seeking)


def _begin_counters(consumer: str) -> None:
    """Show the counters of a consumer with 0: Prometheus sees no increase in a counter that begins with 1."""
    for counter in (EVENTS, OFFSETS_WRONG, RETRIES, REWOUND, DISCARDED):
        start_at_zero(counter, consumer=consumer)


def _known(lag: Lag | None, figure: Callable[[Lag], float]) -> float:
    """A figure of the lag; not a number where it is not known, so that nobody takes an old one for the present one."""
    return figure(lag) if lag is not None and lag.known() else math.nan


def subscribe(
    broker: KafkaBroker, spec: ConsumerSpec, processor: BatchProcessor, health: Health | None = None
) -> Offsets:
    """Consume ``spec.topic`` in batches. A batch's offsets are committed after its transaction; on failure it is delivered
    again. ``health`` gets a probe of the consumer's loop. Returns what commits the offsets and knows the lag.
    """
    start = DurableOffsets(spec, processor)

    async def consume(records: Sequence[ConsumerRecord]) -> None:
        fresh = records
        try:
            with _pause_fetching(subscriber.consumer, records, start=start):
                fresh = await start.checked(records)
                if fresh:
                    await processor.process(spec, fresh)
        except BaseException:
            offsets.rewind(fresh)
            raise
        offsets.processed(fresh)
        if processor.stopping:
            await offsets.commit()

    consume.__name__ = spec.name.replace(".", "_").replace("-", "_")
    subscriber = broker.subscriber(
        spec.topic.name,
        group_id=spec.name,
        batch=True,
        max_records=BATCH_RECORDS_MAX,
        batch_timeout_ms=_BATCH_TIMEOUT_MS,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
        parser=_bare_parser,
        decoder=_raw_decoder,
        fetch_max_wait_ms=100,
        session_timeout_ms=10_000,
        max_poll_interval_ms=300_000,
        listener=start,
    )
    start.watch(subscriber)
    offsets = Offsets(subscriber)
    subscriber(consume)
    _begin_counters(spec.name)
    CONSUMER_POLL_AGE.labels(spec.name).set_function(poll_age(subscriber))
    lag = offsets.lag = partial(lag_of, subscriber, start)
    CONSUMER_LAG.labels(spec.name).set_function(lambda: _known(lag(), Lag.messages))
    CONSUMER_LAG_SECONDS.labels(spec.name).set_function(lambda: _known(lag(), Lag.seconds))
    if health is not None:
        health.add(f"consumer {spec.name}", poll_probe(subscriber, start))
    return offsets
