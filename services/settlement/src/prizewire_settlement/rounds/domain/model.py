"""Rounds, their states, and the commands and events about them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from prizewire_money import FeeSplit
from prizewire_settlement.competitions.domain.model import EntryFee, Rule
from prizewire_settlement.errors import Reason
from prizewire_settlement.prizes.domain import Line, PlayerResult


class RoundState(StrEnum):
    """The state of a round."""

    NEW = "NEW"
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    RESOLVED = "RESOLVED"
    SETTLED = "SETTLED"
    FINALIZED = "FINALIZED"
    VOIDED = "VOIDED"


@dataclass(frozen=True, slots=True)
class Edge:
    """One allowed transition and its reason."""

    before: RoundState
    after: RoundState
    reason: str


EDGES: Final[tuple[Edge, ...]] = (
    Edge(RoundState.NEW, RoundState.OPEN, "the match takes players, or a later report implies that it did"),
    Edge(
        RoundState.OPEN, RoundState.CLOSED, "the match takes no more players, or its result has begun to come"
    ),
    Edge(RoundState.CLOSED, RoundState.RESOLVED, "every part of the result is here"),
    Edge(RoundState.RESOLVED, RoundState.SETTLED, "the prizes were worked out under the round's rule"),
    Edge(RoundState.SETTLED, RoundState.FINALIZED, "the dispute window has passed, or there is none"),
    Edge(RoundState.OPEN, RoundState.VOIDED, "the match does not count"),
    Edge(RoundState.CLOSED, RoundState.VOIDED, "the match does not count"),
    Edge(RoundState.RESOLVED, RoundState.VOIDED, "the result does not count"),
    Edge(RoundState.SETTLED, RoundState.VOIDED, "the match was voided inside the dispute window"),
    Edge(RoundState.NEW, RoundState.VOIDED, "the match was voided before anything else was heard of it"),
    Edge(RoundState.SETTLED, RoundState.RESOLVED, "a corrected result superseded the one before"),
    Edge(RoundState.FINALIZED, RoundState.RESOLVED, "an admin corrected the result after it was final"),
    Edge(
        RoundState.FINALIZED, RoundState.VOIDED, "an admin voided a final round that rewards can never book"
    ),
)
"""Every transition of a round. VOIDED is final; only an admin's decision, with a reason, leads out of FINALIZED."""


HAS_RESULT: Final = frozenset({RoundState.SETTLED, RoundState.FINALIZED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPart:
    """Part ``part`` of ``parts`` of a result. ``document`` is its canonical text, ``hash`` the SHA-256 of that,
    ``players`` their number. ``reason`` is a correction's, None in a first result. Without ``results`` it is the head
    of a part whose document was not asked for. ``reporter`` is the person who reported or decided it, or who let it in by
    a later rule version (``authenticity.admitted_by``); None where a game server reported it over Kafka. ``proved`` is True
    for a stored head that was verified to be as settlement wrote it.
    """

    round_id: UUID
    result_version: int
    part: int
    parts: int
    hash: bytes
    document: str
    results: tuple[PlayerResult, ...]
    players: int
    reason: str | None
    event_id: str
    received_at: datetime
    reporter: str | None = None
    proved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The cause of a transition: ``kind`` is an event type, a job's name or ``admin.resolve``, ``id`` the event or request,
    ``actor`` who answers for it (the game server's source, this service, a person), ``reason`` the stated reason.
    """

    kind: str
    id: str | None
    actor: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Rewards can never book a settlement of a round. ``version`` is the settlement's, ``part`` the part that was refused
    first, ``event_id`` the event that reported it, ``at`` the time at which the event was processed.
    """

    round_id: UUID
    version: int
    part: int
    code: str
    detail: str
    event_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Disownment:
    """Two admins disowned a round in rewards: rewards reversed what it had booked of the round, and never books it again.
    ``id`` is the disownment's in rewards, ``event_id`` the event that reported it, ``at`` the time at which it was processed.
    """

    round_id: UUID
    id: UUID
    reason: str
    event_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The state of one match in settlement.

    ``state_seq`` counts the transitions, ``version`` the events that were published about it; ``rule_version``
    is the rule in force when the round began; it changes only where a refused round is resettled under another rule.
    ``result_version`` names the result that stands. ``waiting_since`` is the time of the first part of a result or
    correction of which parts are missing. ``refused_at`` is the time at which rewards refused the newest settlement for
    good; it is None once the round is settled again or voided. ``disowned_at`` is the time at which settlement learned
    that the round is disowned; it never changes. ``refused_at`` is set with it, since the round waits for a decision;
    only a void clears it. ``final_at`` is the end of the dispute window that the settlement named; it never changes.
    """

    id: UUID
    source: str
    match_id: str
    competition: str
    correlation_id: str
    rule_version: int
    state: RoundState
    state_seq: int
    version: int
    settlement_version: int
    result_version: int | None
    final_at: datetime | None
    created_at: datetime
    updated_at: datetime
    waiting_since: datetime | None = None
    refused_at: datetime | None = None
    disowned_at: datetime | None = None

    @property
    def never_final(self) -> bool:
        """Whether the round is voided, or was disowned before it was final: it then has no time of finality."""
        return self.state is RoundState.VOIDED or (
            self.disowned_at is not None and self.state is not RoundState.FINALIZED
        )

    def time_of_change(self, now: datetime) -> datetime:
        """The time of a change that is decided at ``now``: never before the newest change of the round. A transaction that
        waited for the round's lock may have read the clock before another one that changed the round.
        """
        return max(now, self.updated_at)


class Transition(NamedTuple):
    """A transition of a round; ``seq`` counts from 1."""

    round_id: UUID
    seq: int
    before: RoundState
    after: RoundState
    cause: Cause
    correlation_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A player who entered a round, once, for the fee that its rule asked then."""

    id: UUID
    round_id: UUID
    player: str
    fee: EntryFee
    event_id: str
    entered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The prizes of a round: ``fees.net`` is the sum of the lines and ``unclaimed``.

    ``first_event`` is the aggregate version of its first event: ``round.settled`` for version 1 and where a refused round
    was ``resettled`` under another rule, else ``round.corrected``. Its ``parts`` follow each other. ``reporters`` are
    the persons who reported parts of its result.
    """

    round_id: UUID
    version: int
    rule: Rule
    fees: FeeSplit
    unclaimed: int
    lines: tuple[Line, ...]
    parts: int
    first_event: int
    final: bool
    final_at: datetime
    settled_at: datetime
    cause: Cause
    reporters: tuple[str, ...] = ()
    resettled: bool = False


class Proof(Protocol):
    """The signature of a report. It is checked against a public key; how events are signed is left to the implementation."""

    def refused(self, *, public_key: str) -> tuple[Reason, str] | None:
        """Why the signature does not hold under this Ed25519 key (64 hex digits); None when it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchReport:
    """What every report says. ``correlation_id`` is None where the game server sends none; ``at`` is its time of
    the fact; ``keyid`` names the key of the signature, where there is one. ``waited`` is True for a report that came
    earlier and was parked until it could be applied. ``reporter`` is the person who answers for it, None for a game server's.
    ``reason`` is that of a correction or a void.
    """

    event_id: str
    kind: str
    source: str
    subject: str
    match_id: str
    competition: str
    correlation_id: str | None
    keyid: str | None
    at: datetime
    proof: Proof
    waited: bool = False
    reporter: str | None = None
    reason: str | None = None

    @property
    def cause(self) -> Cause:
        """The report as the cause of a change."""
        return Cause(kind=self.kind, id=self.event_id, actor=self.source, reason=self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(MatchReport):
    """``closed`` is False for a match that began to take players, True for one that takes no more."""

    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(MatchReport):
    """A result, or one part of it."""

    result_version: int
    part: int
    parts: int
    results: tuple[PlayerResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected(Completed):
    """A result, or one part of it, that supersedes the one that stands."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Voided(MatchReport):
    """A match that does not count."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered(MatchReport):
    """A player enters a match."""

    player: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundEvent:
    """``version`` counts the round's events from 1 without gaps; ``caused_by`` is the id of the event that caused it."""

    round: Round
    version: int
    caused_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundProgressed(RoundEvent):
    """The match opened or closed, at ``at``; ``entry_fee`` is what its rule asks of each player."""

    state: RoundState
    at: datetime
    entry_fee: EntryFee | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundEntered(RoundEvent):
    """A player enters the round, and owes its fee; ``at`` is the game server's time of it."""

    entry: Entry
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSettled(RoundEvent):
    """Part ``part`` of a settlement, with its share of the lines."""

    settlement: Settlement
    part: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCorrected(RoundSettled):
    """Part ``part`` of a settlement that supersedes the one before."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundVoided(RoundEvent):
    """The round does not count."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFinalized(RoundEvent):
    """The dispute window has passed."""

    settlement_version: int
