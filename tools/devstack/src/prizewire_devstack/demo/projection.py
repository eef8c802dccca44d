"""Whether rewards has applied the events of payouts: only then it knows the players' methods."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # re-exported without __all__

from prizewire_contracts import topics
from prizewire_devstack.api import LOCAL_ADVICE
from prizewire_devstack.components.kafka import KafkaLogin
from prizewire_devstack.errors import DevstackError

GROUP: Final = "rewards.payouts"
TIMEOUT_S: Final = 10.0


class MethodsProjection:
    """Compares the end offsets of payouts' topic with the committed offsets of rewards' consumer group."""

    def __init__(self, login: KafkaLogin, *, timeout_s: float = TIMEOUT_S) -> None:
        self._servers = login.bootstrap_servers
        self._timeout_s = timeout_s
        self._admin = AdminClient(login.librdkafka())
        self._partitions = [
            TopicPartition(topics.PAYOUTS.name, number) for number in range(topics.PAYOUTS.partitions)
        ]

    def published(self) -> int:
        """Events that payouts has ever published.

        Raises:
            DevstackError: the broker does not answer.
        """
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # ships half of its types
        with self._answering():
            ends = self._admin.list_offsets(dict.fromkeys(self._partitions, latest))
            return sum(end.result(self._timeout_s).offset for end in ends.values())

    def applied(self) -> int:
        """Events of these that rewards has applied.

        Raises:
            DevstackError: the broker does not answer.
        """
        asked = ConsumerGroupTopicPartitions(GROUP, self._partitions)
        with self._answering():
            answers: Any = self._admin.list_consumer_group_offsets([asked])
            committed = answers[GROUP].result(self._timeout_s).topic_partitions
            return sum(max(0, one.offset) for one in committed)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (TimeoutError, KafkaException) as error:
            raise DevstackError(
                f"Kafka at {self._servers} does not answer ({type(error).__name__}): {LOCAL_ADVICE}, and stop and "
                "start the stack if a part of it has ended."
            ) from error
