"""Where a consumer begins in a partition that it is given: behind what its database holds, whatever Kafka says."""

import asyncio
from collections.abc import Collection
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import REWOUND

__all__ = ["DurableOffsets", "Subscribed"]

_PAUSE_S_MAX: Final = 5.0
_ASK_MAX_S: Final = 5.0
_log = get_logger(__name__)


class Subscribed(Protocol):
    """A subscriber of FastStream's, as far as it is used here."""

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The client, once it was started."""
        ...


class DurableOffsets(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Moves each assigned partition to the offset that the database holds, or to its beginning where it holds none.

    Kafka's own offsets of the group are a copy: whoever may join the group can move them, and a database that was restored
    is older than they are. What comes a second time has no effect, what is passed over would be lost.
    """

    def __init__(self, spec: ConsumerSpec, processor: BatchProcessor, *, pause_s: float = 0.2) -> None:
        self._spec = spec
        self._processor = processor
        self._pause_s = pause_s
        self._subscriber: Subscribed | None = None
        self.seeking: set[TopicPartition] = set()
        """Partitions that are paused until it is known where they begin."""

    def watch(self, subscriber: Subscribed) -> None:
        """Name the subscriber that will have the client."""
        self._subscriber = subscriber

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Nothing: what was taken in is stored with its batch."""

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Seek. Nothing is fetched before it is done, however long the database is away."""
        consumer = None if self._subscriber is None else self._subscriber.consumer
        if consumer is None or not assigned:
            return
        self.seeking = set(assigned)
        consumer.pause(*assigned)  # before anything is awaited: the client begins to fetch meanwhile
        stored = await self._stored(assigned)
        if stored is None:
            return
        for place in sorted(assigned):
            await self._tell_if_behind(consumer, place, stored.get(place.partition, 0))
        for place in assigned:
            consumer.seek(place, stored.get(place.partition, 0))
        self.seeking = set()
        consumer.resume(*assigned)

    async def _stored(self, assigned: Collection[TopicPartition]) -> dict[int, int] | None:
        """The offsets of the database; None when the service stops first."""
        tries = 0
        while not self._processor.stopping:
            try:
                return await self._processor.next_offsets(self._spec, {place.partition for place in assigned})
            except Exception as error:  # noqa: BLE001 - a consumer that began elsewhere would lose events
                tries += 1
                _log.warning("offsets not read", consumer=self._spec.name, tries=tries, error=repr(error))
                await asyncio.sleep(min(_PAUSE_S_MAX, self._pause_s * 2.0 ** min(tries, 6)))
        return None

    async def _tell_if_behind(self, consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> None:
        try:
            told = await asyncio.wait_for(consumer.committed(place), timeout=_ASK_MAX_S)
        except (KafkaError, TimeoutError):
            return
        if told is not None and told > offset:
            REWOUND.labels(self._spec.name).inc(told - offset)
            _log.error(
                "the group's offset in kafka is ahead of the database; what lies between is taken in again",
                consumer=self._spec.name,
                partition=place.partition,
                kafka=told,
                database=offset,
            )
