"""Whether a consumer takes messages: how its polls end, and when its broker last answered."""

import time
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from prizewire_chassis.assignment import DurableOffsets, Subscribed

POLL_AGE_MAX_S = 60.0
"""A service whose consumer has not polled without an error for so long is not ready."""
_QUIET_S = 20.0
"""A poll counts when none has raised for so long. FastStream waits 5 to 15 s after an error, so that a loop in which one
partition raises and another answers has a good poll now and then.
"""


class ConsumerStalled(Exception):
    """The consumer's loop raises, has ended, or works on one batch for ``POLL_AGE_MAX_S`` already."""


class ConsumerPaused(Exception):
    """The consumer could not learn where to begin in its partitions: they are paused, and it tries again."""


class Polls:
    """When the loop of a consumer last polled without an error, by the monotonic clock."""

    def __init__(self) -> None:
        self._good = time.monotonic()
        self._raised: float | None = None

    def ended(self) -> None:
        """A poll ended without an error; nothing may have come."""
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
    """A client that remembers how its polls end."""

    def __init__(self, *topics: str, **options: object) -> None:
        super().__init__(*topics, **options)
        self.polls = Polls()

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """As aiokafka's."""
        try:
            found: dict[TopicPartition, list[ConsumerRecord]] = await super().getmany(
                *partitions, timeout_ms=timeout_ms, max_records=max_records
            )
        except Exception:
            self.polls.raised()
            raise
        self.polls.ended()
        return found


def _age_of_polls(subscriber: Subscribed) -> float:
    consumer = subscriber.consumer
    return consumer.polls.age() if isinstance(consumer, PolledConsumer) else 0.0


def poll_age(subscriber: Subscribed) -> Callable[[], float]:
    """A function that answers the seconds since the loop last polled without an error, or since a broker last answered a
    fetch where that is longer ago; since now where none has yet.

    An empty answer counts: a quiet topic is no failure. aiokafka stamps answers by the machine's clock.
    """
    last = time.time()

    def age() -> float:
        nonlocal last
        consumer = subscriber.consumer
        if consumer is not None:
            stamps = [consumer.last_poll_timestamp(partition) for partition in consumer.assignment()]
            last = max([last, *(stamp / 1000 for stamp in stamps if stamp is not None)])
        return max(0.0, time.time() - last, _age_of_polls(subscriber))

    return age


def poll_probe(subscriber: Subscribed, start: DurableOffsets) -> Callable[[], Awaitable[None]]:
    """A probe of readiness. It looks at the loop, and whether the consumer knows where to begin. While Kafka is away, polls
    end without an error, and a service stays ready.
    """

    async def probe() -> None:
        if start.failing:
            raise ConsumerPaused
        if _age_of_polls(subscriber) > POLL_AGE_MAX_S:
            raise ConsumerStalled

    return probe
