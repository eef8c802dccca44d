"""Whether a consumer polls: the results of its polls, and when its broker last answered."""

import time
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from prizewire_chassis.assignment import DurableOffsets, Subscribed
from prizewire_chassis.lag import Lag

POLL_AGE_MAX_S = 60.0
"""A service is not ready where its consumer has had no poll without an error for so many seconds."""
_QUIET_S = 20.0
"""A poll counts as good where no poll raised in the last so many seconds. FastStream waits 5 to 15 s after an error. Where
one partition raises and another does not, some polls of a failing loop end without an error.
"""


class ConsumerStalled(Exception):
    """The consumer's loop raises, has ended, or has processed one batch for more than ``POLL_AGE_MAX_S``."""


class ConsumerPaused(Exception):
    """The consumer could not read the offsets at which its partitions start. They are paused, and it retries."""


class Polls:
    """When the loop of a consumer last polled without an error, by the monotonic clock."""

    def __init__(self) -> None:
        self._good = time.monotonic()
        self._raised: float | None = None

    def ended(self) -> None:
        """A poll ended without an error, with or without messages."""
        now = time.monotonic()
        if self._raised is None or now - self._raised > _QUIET_S:
            self._good = now

    def raised(self) -> None:
        """A poll raised."""
        self._raised = time.monotonic()

    def age(self) -> float:
        """The seconds since the last good poll, or since the consumer was made where there was none."""
        return time.monotonic() - self._good


class PolledConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka's consumer has no types
    """A Kafka client that records the results of its polls, and how far it is behind."""

    def __init__(self, *topics: str, **options: object) -> None:
        super().__init__(*topics, **options)
        self.polls = Polls()
        self.lag = Lag(self)

    def answered_at(self) -> float | None:
        """When a broker last answered any request, or accepted a connection that is still open, by the monotonic clock; None without
        a connection.
        """
        connections = self._client._conns.values()  # noqa: SLF001 - the client has no public time of an answer
        return max((float(one._last_action) for one in connections), default=None)  # noqa: SLF001 - as above

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """As aiokafka's, but it polls again until there are messages: after an empty poll FastStream sleeps as long as the
        poll took, and a message that arrives then waits.
        """
        self.lag.returned()
        while True:
            try:
                found: dict[TopicPartition, list[ConsumerRecord]] = await super().getmany(
                    *partitions, timeout_ms=timeout_ms, max_records=max_records
                )
            except Exception:
                self.polls.raised()
                self.lag.look()
                raise
            self.polls.ended()
            if found:
                self.lag.taken(found)
                return found
            self.lag.look()


def _age_of_polls(subscriber: Subscribed) -> float:
    consumer = subscriber.consumer
    return consumer.polls.age() if isinstance(consumer, PolledConsumer) else 0.0


def poll_age(subscriber: Subscribed) -> Callable[[], float]:
    """A function that returns the seconds since the loop's last poll without an error, or since the last answer of a broker
    to a fetch where that is longer ago. Before the first answer it counts from now.

    An empty answer counts: a topic without messages is no failure. aiokafka stamps answers with the machine's clock. A consumer
    without partitions, as where a service has more processes than the topic has partitions, fetches nothing: there an answer to
    any request counts, such as to its heartbeat.
    """
    last = time.time()

    def age() -> float:
        nonlocal last
        consumer = subscriber.consumer
        if consumer is not None:
            partitions = consumer.assignment()
            stamps = [consumer.last_poll_timestamp(partition) for partition in partitions]
            last = max([last, *(stamp / 1000 for stamp in stamps if stamp is not None)])
            if (
                not partitions
                and isinstance(consumer, PolledConsumer)
                and (answered_at := consumer.answered_at()) is not None
            ):
                last = max(last, time.time() - (time.monotonic() - answered_at))
        return max(0.0, time.time() - last, _age_of_polls(subscriber))

    return age


def poll_probe(subscriber: Subscribed, start: DurableOffsets) -> Callable[[], Awaitable[None]]:
    """A probe of readiness: the loop polls, and the consumer has the offsets at which its partitions start. While Kafka is
    away, polls end without an error, and the service stays ready.
    """

    async def probe() -> None:
        if start.failing:
            raise ConsumerPaused
        if _age_of_polls(subscriber) > POLL_AGE_MAX_S:
            raise ConsumerStalled

    return probe


def lag_of(subscriber: Subscribed, start: DurableOffsets) -> Lag | None:
    """The lag of a subscriber's client, whose partitions begin where ``start`` says; None before the start."""
    consumer = subscriber.consumer
    if not isinstance(consumer, PolledConsumer):
        return None
    consumer.lag.starts = start.starts
    return consumer.lag
