"""How far a consumer is behind: messages of its partitions that it has not processed, and how long the oldest has waited.

Everything is read from the client's own state. Only where the last answer about a partition's end is old, because the
partition is paused or much was fetched at once, a job asks the broker.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

ASK_INTERVAL_S: Final = 5.0
"""An end that is older than this is asked for, in seconds; so many seconds lie between two questions."""
_ASK_MAX_S: Final = 10.0
KNOWN_S: Final = 60.0
"""The lag is not known where the last answer about a partition's end is older than this, in seconds: no broker answers. The time is that of
the alert on lost brokers.
"""


@dataclass(frozen=True, slots=True)
class _End:
    """The offset of the next message of a partition, and when the broker said so, in Unix seconds."""

    offset: int
    at: float


class Lag:
    """The lag of one client. ``taken`` and ``returned`` follow its polls: between the two its messages are processed.

    ``starts``: all messages of a partition before this offset are processed, though the client may read the last of them again.

    A message that was taken has waited since its time in Kafka. Of one that was not taken yet the time is not known. It counts
    from when it was seen first; or from the time of the message before it, where both were there at once. This moment does not
    move while the consumer stands still, so that the seconds rise.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self.starts: Mapping[TopicPartition, int] = {}
        self._consumer = consumer
        self._taken: Mapping[TopicPartition, Sequence[ConsumerRecord]] = {}
        self._ends: dict[TopicPartition, _End] = {}
        self._since: dict[TopicPartition, float] = {}

    def taken(self, records: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        """These messages were read, and are not processed yet."""
        self._taken = records

    def returned(self) -> None:
        """The messages that were taken are processed, or the client was moved back to the first of them."""
        taken, self._taken = self._taken, {}
        now = time.time()
        for place in self._assigned():
            records = taken.get(place)
            if records and self._waiting(place):
                again = (self._position(place) or 0) <= records[0].offset
                self._since[place] = _sent(records[0 if again else -1], now)
        self.look()

    def look(self) -> None:
        """Note since when partitions have messages that wait, and forget the partitions that were revoked."""
        now = time.time()
        mine = self._assigned()
        for known in (self._since, self._ends):
            for place in known.keys() - mine:
                del known[place]
        for place in mine:
            if self._position(place) is None or self._waiting(place):
                self._since.setdefault(place, now)
            else:
                self._since.pop(place, None)

    def known(self) -> bool:
        """Whether a broker has said lately where each assigned partition ends. What came since then is in no number."""
        old = time.time() - KNOWN_S
        return all(self._answered(place) >= old for place in self._assigned())

    def messages(self) -> int:
        """How many messages of the assigned partitions are not processed, as far as the broker has said."""
        return sum(self._waiting(place) for place in self._assigned())

    def seconds(self) -> float:
        """How long the oldest of them has waited; 0 where none waits."""
        self.look()
        now = time.time()
        oldest = now
        for place in self._assigned():
            first = self._first_taken(place)
            if first is not None:
                oldest = min(oldest, _sent(first, now))
            elif place in self._since:
                oldest = min(oldest, self._since[place])
        return now - oldest

    async def ask(self) -> None:
        """Ask the broker for the ends whose last answer is older than ``ASK_INTERVAL_S``. While no broker answers, the ends stay as they
        are, and the lag is soon not known.
        """
        old = time.time() - ASK_INTERVAL_S
        silent = [place for place in self._assigned() if self._answered(place) < old]
        if silent:
            try:
                ends = await asyncio.wait_for(self._consumer.end_offsets(silent), timeout=_ASK_MAX_S)
            except (KafkaError, TimeoutError):
                return
            now = time.time()
            self._ends.update((place, _End(offset, now)) for place, offset in ends.items())
        self.look()

    def _assigned(self) -> set[TopicPartition]:
        found: set[TopicPartition] = self._consumer.assignment()
        return found

    def _position(self, place: TopicPartition) -> int | None:
        """The offset of the next message that the client will take; None where it is not known yet. The client's own method
        waits for it.
        """
        state = self._consumer._subscription.subscription.assignment.state_value(place)  # noqa: SLF001 - the public one waits
        return state.position if state.has_valid_position else None

    def _first_taken(self, place: TopicPartition) -> ConsumerRecord | None:
        start = self.starts.get(place, 0)
        return next((record for record in self._taken.get(place, ()) if record.offset >= start), None)

    def _answered(self, place: TopicPartition) -> float:
        """When a broker last said where the partition ends, in Unix seconds; 0 where it never did."""
        stamp = self._consumer.last_poll_timestamp(place) or 0
        asked = self._ends.get(place)
        return max(stamp / 1000, 0.0 if asked is None else asked.at)

    def _end(self, place: TopicPartition) -> int:
        stamp = self._consumer.last_poll_timestamp(place) or 0
        asked = self._ends.get(place)
        if asked is not None and asked.at > stamp / 1000:
            return asked.offset
        return self._consumer.highwater(place) or 0

    def _waiting(self, place: TopicPartition) -> int:
        position = self._position(place)
        if position is None:
            return 0
        first = self._first_taken(place)
        processed = max(position if first is None else min(position, first.offset), self.starts.get(place, 0))
        return max(0, self._end(place) - processed)


def _sent(record: ConsumerRecord, now: float) -> float:
    """When a message came into its topic, in Unix seconds; now where it has no time, or one in the future."""
    return min(now, record.timestamp / 1000) if record.timestamp > 0 else now
