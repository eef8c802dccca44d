"""The offset at which a consumer starts in an assigned partition: the one of its database, not the group's in Kafka."""

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec, StoredOffset
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import OFFSETS_WRONG, REWOUND
from prizewire_chassis.metrics.labels import WrongOffset

_PAUSE_S_MAX: Final = 5.0
_ASK_MAX_S: Final = 10.0
_log = get_logger(__name__)


class Subscribed(Protocol):
    """The part of a FastStream subscriber that is used here."""

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The Kafka client; None before the start."""
        ...


@dataclass(frozen=True, slots=True)
class _Last:
    """The message before a stored offset, which is read again and compared: its offset, its SHA-256, and the first and the
    next offset of the partition's log at the assignment.
    """

    offset: int
    hash: bytes
    first: int
    end: int


class DurableOffsets(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Seeks each assigned partition to the offset in the database, or to the beginning of its log where there is none.

    The group's offsets in Kafka are only a copy. Every member of the group can move them, and a restored database is older
    than they are. A message that is delivered twice has no effect; a message that is skipped would be lost.

    The offset in the database can be wrong as well: Kafka was restored from a backup, a topic was created again, or a person
    raised the number. So it is used only where it lies within the log, and where the message before it is the one that was
    processed last. Reading starts at that message, and ``checked`` compares it. Otherwise the partition is read from the
    beginning of its log.
    """

    def __init__(self, spec: ConsumerSpec, processor: BatchProcessor, *, pause_s: float = 0.2) -> None:
        self._spec = spec
        self._processor = processor
        self._pause_s = pause_s
        self._subscriber: Subscribed | None = None
        self._last: dict[TopicPartition, _Last] = {}
        self.starts: dict[TopicPartition, int] = {}
        """The offset of the first message to process of each assigned partition, once it is known."""
        self.seeking: set[TopicPartition] = set()
        """Partitions that are paused until their start is known."""
        self.failing = False
        """Whether the last attempt to read the start offsets failed. The partitions are paused, and it retries."""

    def watch(self, subscriber: Subscribed) -> None:
        """Set the subscriber whose client is moved."""
        self._subscriber = subscriber

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Forget where they started. Each batch stored its own offsets."""
        for place in revoked:
            self.starts.pop(place, None)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Seek. Nothing is fetched before that, however long the database is unavailable. Every error is retried: aiokafka would
        ignore it, and the partitions would stay paused.
        """
        consumer = None if self._subscriber is None else self._subscriber.consumer
        if consumer is None or not assigned:
            return
        self.seeking = set(assigned)
        tries = 0
        while not self._processor.stopping:
            try:
                consumer.pause(
                    *assigned
                )  # before the first await, since the client would begin to fetch during it
                await self._begin(consumer, assigned)
                consumer.resume(*assigned)
            except Exception as error:  # noqa: BLE001 - a consumer that starts at another offset would lose events
                tries += 1
                self.failing = True
                _log.error(
                    "start offsets of a consumer cannot be read; its partitions stay paused until a retry succeeds",
                    consumer=self._spec.name,
                    partitions=sorted(place.partition for place in assigned),
                    tries=tries,
                    error=repr(error),
                )
                await asyncio.sleep(min(_PAUSE_S_MAX, self._pause_s * 2.0 ** min(tries, 6)))
            else:
                self.seeking = set()
                self.failing = False
                return

    async def checked(self, records: Sequence[ConsumerRecord]) -> Sequence[ConsumerRecord]:
        """The records of a batch that are to be processed. Left out are messages before a stored offset that were read only
        to compare them, and partitions whose log is another one: these are read from the beginning.
        """
        if not self._last:
            return records
        lasts = dict(self._last)
        right: set[TopicPartition] = set()
        wrong: set[TopicPartition] = set()
        for place, last in lasts.items():
            mine = [record for record in records if record.partition == place.partition]
            found = next((record for record in mine if record.offset == last.offset), None)
            if found is not None and hashlib.sha256(found.value or b"").digest() == last.hash:
                right.add(place)
            elif found is not None or any(record.offset < last.offset for record in mine):
                wrong.add(place)
        for place in sorted(wrong):
            last = lasts[place]
            await self._from_the_beginning(
                place, last.offset + 1, last.first, last.end, WrongOffset.OTHER_MESSAGE
            )
        # No await from here on: a batch that fails before is delivered again and compared again.
        consumer = None if self._subscriber is None else self._subscriber.consumer
        for place in right | wrong:
            if self._last.get(place) is not lasts[place]:
                continue  # assigned again in the meantime, which moved it
            del self._last[place]
            if place in wrong and consumer is not None:
                self.starts[place] = lasts[place].first
                consumer.seek(place, lasts[place].first)
        refused = {place.partition for place in wrong}
        compared = {(place.partition, lasts[place].offset) for place in right}
        return [
            record
            for record in records
            if record.partition not in refused and (record.partition, record.offset) not in compared
        ]

    async def _begin(self, consumer: AIOKafkaConsumer, assigned: Collection[TopicPartition]) -> None:
        self._last = {}
        # Before the database: the former owner still commits, in the database first. Read after it, the group seems ahead.
        groups = {place: await self._committed(consumer, place) for place in sorted(assigned)}
        stored = await self._processor.stored_offsets(self._spec, {place.partition for place in assigned})
        firsts = await asyncio.wait_for(consumer.beginning_offsets(list(assigned)), timeout=_ASK_MAX_S)
        ends = await asyncio.wait_for(consumer.end_offsets(list(assigned)), timeout=_ASK_MAX_S)
        starts = {
            place: await self._start(place, stored, group, firsts[place], ends[place])
            for place, group in groups.items()
        }
        for place, offset in starts.items():
            last = self._last.get(place)
            self.starts[place] = offset if last is None else last.offset + 1
            consumer.seek(place, offset)

    async def _committed(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
        """The group's offset in Kafka; 0 where it has none or Kafka does not answer."""
        try:
            committed = await asyncio.wait_for(consumer.committed(place), timeout=_ASK_MAX_S)
        except (KafkaError, TimeoutError):
            return 0
        return committed or 0

    async def _start(
        self, place: TopicPartition, stored: Mapping[int, StoredOffset], group: int, first: int, end: int
    ) -> int:
        """The offset at which reading starts in a log whose first offset is ``first`` and whose next one is ``end``; ``group`` is
        the group's offset in Kafka.
        """
        known = stored.get(place.partition)
        if known is not None and known.next_offset > end:
            await self._from_the_beginning(place, known.next_offset, first, end, WrongOffset.PAST_END)
            return first
        if known is not None and known.next_offset > first and known.last_hash is None:
            await self._from_the_beginning(place, known.next_offset, first, end, WrongOffset.NO_HASH)
            return first
        if known is not None and known.next_offset < first:
            await self._from_the_beginning(place, known.next_offset, first, end, WrongOffset.DELETED)
            return first
        self._report_group_ahead(place, group, first if known is None else known.next_offset)
        if known is None or known.last_hash is None or known.next_offset == first:
            return first
        self._last[place] = _Last(known.next_offset - 1, known.last_hash, first, end)
        return known.next_offset - 1

    async def _from_the_beginning(
        self, place: TopicPartition, offset: int, first: int, end: int, reason: WrongOffset
    ) -> None:
        OFFSETS_WRONG.labels(self._spec.name, reason).inc()
        _log.error(
            "the stored offset does not fit kafka's log; the partition is read from the beginning",
            consumer=self._spec.name,
            topic=place.topic,
            partition=place.partition,
            reason=str(reason),
            database=offset,
            kafka_first=first,
            kafka_next=end,
        )
        await self._processor.reset_offset(self._spec, partition=place.partition, offset=first)

    def _report_group_ahead(self, place: TopicPartition, group: int, offset: int) -> None:
        if group > offset:
            REWOUND.labels(self._spec.name).inc(group - offset)
            _log.error(
                "the group's offset in kafka is ahead of the database; the messages between are processed again",
                consumer=self._spec.name,
                partition=place.partition,
                kafka=group,
                database=offset,
            )
