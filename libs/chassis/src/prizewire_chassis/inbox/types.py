"""Consumers, incoming events, and what a handler returns."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.topics import Topic


class Record(Protocol):
    """A Kafka record."""

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
        """The offset in the partition."""
        ...

    @property
    def value(self) -> bytes | None:
        """The message; None on a tombstone."""
        ...


@dataclass(frozen=True, slots=True)
class StoredOffset:
    """A consumer's stored position in a partition: the next offset, and the SHA-256 of the message before it. The hash is
    None where no message was processed since the partition was started.
    """

    next_offset: int
    last_hash: bytes | None


class Unreadable(bytes):
    """The value of a record that represents messages which cannot be read: the bytes in Kafka, and the reason in
    ``detail``. A message that can be read never has this type.
    """

    detail: str

    def __new__(cls, value: bytes, detail: str) -> "Unreadable":
        """``value``: the bytes in Kafka. ``detail``: why they cannot be read."""
        made = super().__new__(cls, value)
        made.detail = detail
        return made


@dataclass(frozen=True, slots=True)
class Incoming:
    """A well-formed, authentic event. ``raw`` is its JSON, ``hash`` the SHA-256 of its canonical bytes;
    ``replay_of`` is the state (dead or parked) from which it is replayed, ``OFFERED`` where its sender waits for the
    answer, None where it comes from Kafka. ``answers_for`` is the person who is responsible for an offered event.
    ``traceparent`` is the valid one of the message, None where it has none or its source may not name the trace.
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
    traceparent: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """(source, event id): CloudEvents' ids are unique for each source only."""
        return self.event.source, self.event.id


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event was not applied, and why. ``park``: later events of its subject wait for it."""

    code: RefusalCode
    detail: str
    park: bool = False


OFFERED: Final = "offered"
"""``replay_of`` of an event that did not come from Kafka and whose sender waits for the result. A refusal stores nothing."""
Admission = Callable[[AsyncConnection, Sequence[Incoming]], Awaitable[Mapping[int, Refusal]]]
"""Returns refusals by index, such as of events that their source did not sign. It changes nothing."""
Handler = Callable[[AsyncConnection, Sequence[Incoming]], Awaitable[Mapping[int, Refusal]]]
"""Applies events inside the batch transaction and returns refusals by index. It makes no network calls."""


class VersionRule(StrEnum):
    """What ``aggregateversion`` means to a consumer."""

    STRICT = "strict"
    """Apply n+1, ignore older, park on a gap."""
    HIGHEST = "highest"
    """The event carries the full state: ignore older, apply any newer."""
    NONE = "none"
    """Versions are ignored."""


def strict(event_type: str) -> VersionRule:  # noqa: ARG001 - the signature of a version rule
    """The version rule under which every event type has consecutive versions."""
    return VersionRule.STRICT


def never(event_type: str) -> VersionRule:  # noqa: ARG001 - the signature of a version rule
    """The version rule under which versions are ignored."""
    return VersionRule.NONE


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """One consumer: its name (also its Kafka group), topic, handler and version rule by event type. Of types outside
    ``types`` only the version is stored, or nothing where versions are ignored.

    ``admit`` is for topics whose events the trust store cannot authenticate. It runs before anything is looked up or stored
    under an event's id. An event that it refuses is dead, parks nothing and is not in the inbox.
    ``correlation_of`` derives the correlation id of an event that has none from source and subject.
    ``passing`` are the reasons for which an event may be parked for a short time in normal operation.
    ``overtakes`` returns true, for the reason of a parked head and the type of a later event, where that event does not wait
    behind the head, because the head waits for it. ``ready`` returns the ids of parked heads that no longer have to wait;
    they are replayed. Gaps in versions need neither of the two. ``sources`` are the only sources whose events are read, of a
    topic that several services write; None means all.
    ``chained``: each event names the one before it, and the handler parks an event that does not continue the chain, so that it
    applies none twice. No event may be left out: the discard of a stuck event frees its id and does not count its version as
    applied, and a discarded event can be replayed. An event with the next version does not wait behind a parked one, which may
    be a forged one under the same version.
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
    sources: frozenset[str] | None = None
    chained: bool = False

    def concerns(self, event_type: str, *, source: str | None = None) -> bool:
        """Whether events of this type are handled, or their versions stored. Nothing is stored of other events, nor of
        authentic events of a ``source`` outside ``sources``.
        """
        if self.sources is not None and source is not None and source not in self.sources:
            return False
        if self.types is None or event_type in self.types:
            return True
        return self.version_rule(event_type) is not VersionRule.NONE

    def correlation(self, *, named: str | None, source: str | None, subject: str | None) -> str | None:
        """The correlation id of the event (``named``), else the one that is derived from source and subject, else None."""
        if named is not None or self.correlation_of is None or source is None or subject is None:
            return named
        return self.correlation_of(source, subject)


class Stopping(Exception):
    """The service is shutting down. The batch was not applied and must be delivered again."""
