"""The settings that every topic of Prizewire has in Kafka, on the local stack and in a cluster."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from prizewire_contracts.decode import SENT_BYTES_MAX
from prizewire_contracts.topics import Topic

REPLICAS: Final = 3
"""The copies of each partition in production."""
_MS: Final = timedelta(milliseconds=1)
_UNLIMITED: Final = "-1"
_AT_LEAST: Final = frozenset(
    {
        "max.message.bytes",
        "message.timestamp.after.max.ms",
        "message.timestamp.before.max.ms",
        "min.insync.replicas",
        "retention.bytes",
        "retention.ms",
    }
)
"""Settings of which more is as good."""
_MAYBE_UNLIMITED: Final = frozenset({"retention.bytes", "retention.ms"})
DEFAULTS: Final[Mapping[str, str]] = {
    "message.timestamp.after.max.ms": str(timedelta(hours=1) // _MS),
    "message.timestamp.before.max.ms": str(2**63 - 1),
}
"""Settings that no topic sets. A smaller value than Kafka's default would refuse messages for their times."""


def topic_settings(topic: Topic, *, replicas: int) -> dict[str, str]:
    """The settings of a topic whose partitions have so many copies, by Kafka's names (Kafka documentation, "Topic Configs").

    A write is confirmed once all copies but one have it. The broker sets the time of each message, since a time that the
    sender chooses would decide when the message is deleted. A copy that lacks confirmed messages never becomes the leader.
    The largest message that a service sends is accepted: a refused one would stop its outbox.
    """
    return {
        "cleanup.policy": "delete",
        "max.message.bytes": str(SENT_BYTES_MAX),
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(max(1, replicas - 1)),
        "retention.bytes": _UNLIMITED,
        "retention.ms": str(topic.retention // _MS),
        "unclean.leader.election.enable": "false",
    }


def suffices(setting: str, value: str, *, wanted: str) -> bool:
    """Whether a topic's setting is as it is wanted, or better."""
    if value == wanted:
        return True
    if setting not in _AT_LEAST or (setting in _MAYBE_UNLIMITED and wanted == _UNLIMITED):
        return False
    if setting in _MAYBE_UNLIMITED and value == _UNLIMITED:
        return True
    try:
        return int(value) >= int(wanted)
    except ValueError:
        return False


def below_default(settings: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """The settings of `DEFAULTS` that are smaller: name, value, default."""
    for setting, default in DEFAULTS.items():
        value = settings.get(setting, default)
        if not suffices(setting, value, wanted=default):
            yield setting, value, default
