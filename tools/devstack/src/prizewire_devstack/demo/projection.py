"""Whether rewards has read what payouts has published: a prize finds its player's method only then."""

from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # re-exported without __all__

from prizewire_contracts import topics
from prizewire_devstack.components.kafka import KafkaLogin

GROUP: Final = "rewards.payouts"
TIMEOUT_S: Final = 10.0


class MethodsProjection:
    """Compares the end of payouts' topic with what rewards' consumer group has committed."""

    def __init__(self, login: KafkaLogin) -> None:
        self._admin = AdminClient(login.librdkafka())
        self._partitions = [
            TopicPartition(topics.PAYOUTS.name, number) for number in range(topics.PAYOUTS.partitions)
        ]

    def published(self) -> int:
        """Events that payouts has ever published."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # ships half of its types
        ends = self._admin.list_offsets(dict.fromkeys(self._partitions, latest))
        return sum(end.result(TIMEOUT_S).offset for end in ends.values())

    def applied(self) -> int:
        """Events of these that rewards has applied."""
        asked = ConsumerGroupTopicPartitions(GROUP, self._partitions)
        answers: Any = self._admin.list_consumer_group_offsets([asked])
        committed = answers[GROUP].result(TIMEOUT_S).topic_partitions
        return sum(max(0, one.offset) for one in committed)
