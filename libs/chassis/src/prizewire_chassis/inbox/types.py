"""What a consumer is, and what it may answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.topics import Topic


class Record(Protocol):
    """A message as Kafka gives it."""

    @property
    def topic(self) -> str:
        """The topic's name."""
        ...

    @property
    def partition(self) -> int:
        """The partition's number."""
        ...

    @property
    def offset(self) -> int:
        """The place in the partition."""
        ...

    @property
    def value(self) -> bytes | None:
        """The message; None on a tombstone."""
        ...


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a consumer has taken in a partition: the offset that comes next, and the SHA-256 of the message before it;
    None where nothing was taken in since the partition was begun.
    """

    next_offset: int
    last_hash: bytes | None


class Unreadable(bytes):
    """The value of a record that stands for messages which cannot be read: what Kafka holds of them, and why in
    ``detail``. No message has this type, whatever its bytes are.
    """

    detail: str

    def __new__(cls, value: bytes, detail: str) -> "Unreadable":
        """Name the bytes that Kafka holds, and why they cannot be read."""
        made = super().__new__(cls, value)
        made.detail = detail
        return made


@dataclass(frozen=True, slots=True)
class Incoming:
    """A well-formed, authentic event. ``raw`` is its JSON, ``hash`` the SHA-256 of its canonical bytes;
    ``replay_of`` is the state (dead or parked) from which it is sent again, ``OFFERED`` where its sender waits for the
    answer, None when it comes from Kafka. ``answers_for`` is the person who answers for an event that was offered.
    """

    event: Envelope
    raw: dict[str, Any]
    hash: bytes
    topic: str
    partition: int
    offset: int
    value: bytes = field(repr=False)
    replay_of: str | None = None
    answers_for: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """(source, event id): CloudEvents' ids are unique for each source only."""
        return self.event.source, self.event.id


@dataclass(frozen=True, slots=True)
class Refusal:
    """A handler's word that an event was not applied. ``park`` makes later events of its subject wait."""

    code: RefusalCode
    detail: str
    park: bool = False


OFFERED: Final = "offered"
"""How an event comes that was handed in by somebody who hears at once what became of it: nothing refused is kept."""
Admission = Callable[[AsyncConnection, Sequence[Incoming]], Awaitable[Mapping[int, Refusal]]]
"""Says, by index, which events may not come in, such as those that a game server did not sign. It changes nothing."""
Handler = Callable[[AsyncConnection, Sequence[Incoming]], Awaitable[Mapping[int, Refusal]]]
"""Applies events inside the batch transaction; answers, by index, those that it refused. It never calls out."""


class VersionRule(StrEnum):
    """What ``aggregateversion`` means to a consumer."""

    STRICT = "strict"
    """Apply n+1, ignore older, park on a gap."""
    HIGHEST = "highest"
    """The event carries the full state: ignore older, apply any newer."""
    NONE = "none"
    """Versions are not looked at."""


def strict(event_type: str) -> VersionRule:  # noqa: ARG001 - the signature of a version rule
    """Every type of the topic counts, without gaps."""
    return VersionRule.STRICT


def never(event_type: str) -> VersionRule:  # noqa: ARG001 - the signature of a version rule
    """Versions are not looked at."""
    return VersionRule.NONE


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """One consumer: its name (also its Kafka group), topic, handler and version rule by event type. Types outside
    ``types`` only have their version recorded, and leave no trace at all where versions are not looked at.

    ``admit`` is for topics whose events the trust store cannot vouch for. It is asked before anything is looked up or
    stored under an event's name: what it refuses is dead, parks nothing and leaves no trace in the inbox.
    ``correlation_of`` says, from source and subject, which correlation id an event belongs to that names none.
    ``passing`` are the reasons with which an event may be parked for a while as a matter of course.
    ``overtakes`` says, from the reason of a parked head and a later event's type, that this event does not wait behind
    it: what the head waits for must come through. ``ready`` answers the ids of parked heads that have what they waited
    for; they are then sent again. Versions' gaps need neither.
    """

    name: str
    topic: Topic
    handler: Handler
    version_rule: Callable[[str], VersionRule] = strict
    types: frozenset[str] | None = None
    admit: Admission | None = None
    correlation_of: Callable[[str, str], str] | None = None
    overtakes: Callable[[str, str], bool] | None = None
    passing: frozenset[str] = frozenset()
    ready: Callable[[AsyncConnection], Awaitable[Sequence[int]]] | None = None

    def concerns(self, event_type: str) -> bool:
        """Whether events of a type are looked at: they are handled, or their versions count. Others leave no trace."""
        if self.types is None or event_type in self.types:
            return True
        return self.version_rule(event_type) is not VersionRule.NONE

    def correlation(self, *, named: str | None, source: str | None, subject: str | None) -> str | None:
        """The correlation id that an event names, or else the one that it belongs to, where that can be said."""
        if named is not None or self.correlation_of is None or source is None or subject is None:
            return named
        return self.correlation_of(source, subject)


class Stopping(Exception):
    """The service is shutting down: the batch was not applied and must be delivered again."""
