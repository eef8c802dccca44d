"""Kafka as every service uses it: batches in, a producer that waits for all replicas out, SASL/SCRAM under both."""

import asyncio
import logging
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
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import CONSUMER_POLL_AGE
from prizewire_chassis.polls import PolledConsumer, poll_age, poll_probe
from prizewire_chassis.record_batches import read_within_bounds
from prizewire_chassis.settings import ServiceSettings
from prizewire_contracts.decode import SENT_BYTES_MAX

BATCH_RECORDS_MAX = 500
_BATCH_TIMEOUT_MS = 40
"""An empty poll waits this long twice (once in aiokafka, once in FastStream)."""
_TELL_MAX_S = 5.0
"""A client asks on for as long as its broker is away; nobody must wait for that, least of all a stop."""
_log = get_logger(__name__)

Records = tuple[ConsumerRecord, ...]
OriginalParser = Callable[[Records], Awaitable[KafkaMessage]]


def _ssl_context(settings: ServiceSettings) -> ssl.SSLContext | None:
    if settings.kafka_security_protocol != "SASL_SSL":
        return None
    return ssl.create_default_context(cafile=settings.kafka_ca_file)


class _Broker(KafkaBroker):
    """A broker whose consumers remember how their polls end."""

    async def _connect(self) -> Callable[..., AIOKafkaConsumer]:
        builder = await super()._connect()
        assert isinstance(builder, partial), "FastStream builds its consumers in another way"
        self.config.broker_config.builder = partial(PolledConsumer, **builder.keywords)
        return self.config.broker_config.builder


def build_broker(settings: ServiceSettings) -> KafkaBroker:
    """A FastStream broker for consuming. Its own producer is not used: events leave through the outbox."""
    read_within_bounds()
    context = _ssl_context(settings)
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

    It is not idempotent: a producer id is known to whoever reads a topic, and a stranger's record under it in a topic that
    several may write stops the producer, or makes the broker drop what it sends (decision 26). Consumers have an inbox.
    """
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers.split(","),
        client_id=f"{settings.kafka_sasl_username}-relay",
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        sasl_plain_username=settings.kafka_sasl_username,
        sasl_plain_password=settings.kafka_sasl_password.get_secret_value(),
        ssl_context=_ssl_context(settings),
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
    """Tells Kafka how far a consumer group has come, behind the database and beside the next batch.

    Each batch's transaction stores its offsets and what makes a second delivery harmless. So Kafka need not hear of every
    batch before the next one begins: after a crash it delivers again what it had not heard of.
    """

    def __init__(self, subscriber: Subscribed, *, every_s: float = 0.2) -> None:
        self._subscriber = subscriber
        self._every_s = every_s
        self._reached: dict[TopicPartition, int] = {}
        self._task: asyncio.Task[None] | None = None

    def reached(self, records: Sequence[ConsumerRecord]) -> None:
        """These records are durable, in this order; Kafka hears of them soon."""
        for record in records:
            self._reached[TopicPartition(record.topic, record.partition)] = record.offset + 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._later(), name="kafka offsets")

    async def tell(self) -> None:
        """Tell Kafka now. What belongs to somebody else since a rebalance is not ours to tell, and comes again there."""
        consumer = self._subscriber.consumer
        told, self._reached = self._reached, {}
        mine = consumer.assignment() if consumer is not None else frozenset()
        told = {place: offset for place, offset in told.items() if place in mine}
        if not told or consumer is None:
            return
        try:
            await asyncio.wait_for(consumer.commit(told), timeout=_TELL_MAX_S)
        except (KafkaError, TimeoutError) as error:
            _log.warning("offsets not committed; they come again", error=repr(error))

    def rewind(self, records: Sequence[ConsumerRecord]) -> None:
        """These records were not taken in: they are to be delivered again."""
        consumer = self._subscriber.consumer
        if consumer is None:
            return
        first: dict[TopicPartition, int] = {}
        for record in records:
            first.setdefault(TopicPartition(record.topic, record.partition), record.offset)
        for place, offset in first.items():
            if place in consumer.assignment():
                consumer.seek(place, offset)

    async def _later(self) -> None:
        while self._reached:
            await asyncio.sleep(self._every_s)
            await self.tell()


@contextmanager
def _nothing_ahead(
    consumer: AIOKafkaConsumer | None, records: Sequence[ConsumerRecord], *, start: DurableOffsets
) -> Iterator[None]:
    """While a batch is worked on, nothing is fetched, so that the next one holds all that came meanwhile.

    The client fetches ahead once, and not again before that is consumed (aiokafka 0.14, ``Fetcher``): the next batch would
    be the little that came first, and everything else would wait for another one. Behind a full batch there is more
    anyway, and reading ahead saves time.
    """
    if consumer is None or len(records) >= BATCH_RECORDS_MAX:
        yield
        return
    consumer.pause(*consumer.assignment())
    try:
        yield
    finally:
        consumer.resume(*consumer.paused() - start.seeking)


def subscribe(
    broker: KafkaBroker, spec: ConsumerSpec, processor: BatchProcessor, health: Health | None = None
) -> Offsets:
    """Consume ``spec.topic`` in batches; Kafka hears of a batch after its transaction, and delivers it again on failure.
    ``health`` is told whether the consumer's loop polls. Answers what tells Kafka.
    """
    start = DurableOffsets(spec, processor)

    async def consume(records: Sequence[ConsumerRecord]) -> None:
        fresh = records
        try:
            with _nothing_ahead(subscriber.consumer, records, start=start):
                fresh = await start.checked(records)
                if fresh:
                    await processor.process(spec, fresh)
        except BaseException:
            offsets.rewind(fresh)
            raise
        offsets.reached(fresh)
        if processor.stopping:
            await offsets.tell()

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
    CONSUMER_POLL_AGE.labels(spec.name).set_function(poll_age(subscriber))
    if health is not None:
        health.add(f"consumer {spec.name}", poll_probe(subscriber, start))
    return offsets
