"""The settings that every topic of Prizewire has in Kafka, on the local stack and in a cluster."""

from datetime import timedelta
from typing import Final

from prizewire_contracts.topics import Topic

REPLICAS: Final = 3
"""The copies of each partition in production."""
_MS: Final = timedelta(milliseconds=1)


def topic_settings(topic: Topic, *, replicas: int) -> dict[str, str]:
    """The settings of a topic whose partitions have so many copies, by Kafka's names (Kafka documentation, "Topic Configs").

    A write is confirmed once all copies but one have it. The broker sets the time of each message, since a time that the
    sender chooses would decide when the message is deleted.
    """
    return {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(max(1, replicas - 1)),
        "retention.bytes": "-1",
        "retention.ms": str(topic.retention // _MS),
    }
