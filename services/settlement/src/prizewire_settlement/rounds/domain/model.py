"""Rounds and what belongs to them: results, settlements, entries, refusals. Amounts are minor units."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from prizewire_money import FeeSplit
from prizewire_settlement.competitions.domain.model import EntryFee, Rule
from prizewire_settlement.prizes.domain import Line, PlayerResult
from prizewire_settlement.rounds.domain.states import RoundState


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPart:
    """Part ``part`` of ``parts`` of a result. ``document`` is its canonical text, ``hash`` the SHA-256 of that,
    ``players`` their number. ``reason`` is a correction's, None in a first result. Without ``results`` it is the head
    of a part whose document was not asked for. ``reporter`` is the person who reported or decided it, or who let it in by
    a later rule version (``authenticity.admitted_by``); None where a game server reported it over Kafka.
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
