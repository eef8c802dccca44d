"""Changes of a round along its states."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Final
from uuid import UUID

from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.rounds.domain.model import (
    EDGES,
    Cause,
    Entered,
    Entry,
    MatchReport,
    Progress,
    Refusal,
    ResultPart,
    Round,
    RoundEntered,
    RoundEvent,
    RoundFinalized,
    RoundProgressed,
    RoundState,
    RoundVoided,
    Settlement,
    Transition,
    Voided,
)

RESOLVE: Final = "admin.resolve"
"""The kind of a cause that is a person's decision. The database refuses every other cause of a transition out of FINALIZED."""


KnownParts = Mapping[tuple[int, int], ResultPart]
"""Stored result parts of one round, by (result_version, part)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundChange:
    """What one report or decision changes about a round. Without a round it changes nothing. ``new``: the round has no row
    yet.
    """

    round: Round | None = None
    new: bool = False
    transitions: tuple[Transition, ...] = ()
    part: ResultPart | None = None
    settlement: Settlement | None = None
    entry: Entry | None = None
    refusal: Refusal | None = None
    events: tuple[RoundEvent, ...] = ()


NO_CHANGE: Final = RoundChange()


def check_binding(*, report: MatchReport, known: Round) -> None:
    """Refuse a report that does not belong to the round of its (source, match).

    A report without a correlation id gets that of the round.

    Raises:
        ReportRefused: ``correlation_mismatch``; ``event_mismatch`` for another competition; ``illegal_transition`` for
            anything but a void of a round that rewards disowned and never books again.
    """
    if report.correlation_id is not None and report.correlation_id != known.correlation_id:
        detail = f"match {report.match_id} is bound to {known.correlation_id}, not to {report.correlation_id}"
        raise ReportRefused(Reason.CORRELATION_MISMATCH, detail)
    if report.competition != known.competition:
        detail = f"match {report.match_id} belongs to {known.competition}, not to {report.competition}"
        raise ReportRefused(Reason.EVENT_MISMATCH, detail)
    disowned = known.disowned_at is not None and known.state is not RoundState.VOIDED
    if disowned and not isinstance(report, Voided):
        detail = f"rewards disowned the round of match {report.match_id} and never books it: report it under another match id"
        raise ReportRefused(Reason.ILLEGAL_TRANSITION, detail)


def new_round(
    *, report: MatchReport, round_id: UUID, correlation_id: str, rule: Rule, now: datetime
) -> Round:
    """A new round, bound to the correlation id of its match and to its rule."""
    return Round(
        id=round_id,
        source=report.source,
        match_id=report.match_id,
        competition=report.competition,
        correlation_id=correlation_id,
        rule_version=rule.version,
        state=RoundState.NEW,
        state_seq=0,
        version=0,
        settlement_version=0,
        result_version=None,
        final_at=None,
        created_at=now,
        updated_at=now,
    )


_ALLOWED: Final = frozenset((edge.before, edge.after) for edge in EDGES)


_MAIN: Final = (
    RoundState.NEW,
    RoundState.OPEN,
    RoundState.CLOSED,
    RoundState.RESOLVED,
    RoundState.SETTLED,
    RoundState.FINALIZED,
)


@lru_cache(maxsize=64)
def path(*, before: RoundState, after: RoundState) -> tuple[tuple[RoundState, RoundState], ...]:
    """The transitions from ``before`` to ``after``: a direct one, or those along the main line, where a report implies them.

    Empty where both are equal.

    Raises:
        ReportRefused: ``illegal_transition``; it parks nothing, since no later event makes it possible.
    """
    if before is after:
        return ()
    if (before, after) in _ALLOWED:
        return ((before, after),)
    if before in _MAIN and after in _MAIN and _MAIN.index(before) < _MAIN.index(after):
        return tuple(pairwise(_MAIN[_MAIN.index(before) : _MAIN.index(after) + 1]))
    raise ReportRefused(Reason.ILLEGAL_TRANSITION, f"a round in state {before} cannot become {after}")


def move(
    current: Round, goal: RoundState, *, cause: Cause, now: datetime
) -> tuple[Round, tuple[Transition, ...]]:
    """The round in state ``goal``, and the transitions that lead there.

    Raises:
        ReportRefused: ``illegal_transition``.
    """
    taken = transitions_along(current, *path(before=current.state, after=goal), cause=cause, now=now)
    if not taken:
        return current, ()
    return replace(current, state=goal, state_seq=current.state_seq + len(taken), updated_at=now), taken


def transitions_along(
    current: Round, *edges: tuple[RoundState, RoundState], cause: Cause, now: datetime
) -> tuple[Transition, ...]:
    """The next transitions of a round along ``edges``."""
    return tuple(
        Transition(current.id, current.state_seq + n, before, after, cause, current.correlation_id, now)
        for n, (before, after) in enumerate(edges, start=1)
    )


_BEGUN: Final = frozenset({RoundState.CLOSED, RoundState.RESOLVED, RoundState.SETTLED, RoundState.FINALIZED})


def report_progress(*, report: Progress, current: Round, rule: Rule, now: datetime) -> RoundChange:
    """The match opened or closed. A step that a later report has implied already changes nothing.

    Raises:
        ReportRefused: ``illegal_transition`` after the round was voided.
    """
    if current.state in _BEGUN or (current.state is RoundState.OPEN and not report.closed):
        return NO_CHANGE
    goal = RoundState.CLOSED if report.closed else RoundState.OPEN
    moved, transitions = move(current, goal, cause=report.cause, now=now)
    moved = replace(moved, version=moved.version + 1)
    event = RoundProgressed(
        round=moved,
        version=moved.version,
        caused_by=report.event_id,
        state=goal,
        at=report.at,
        entry_fee=rule.entry_fee,
    )
    return RoundChange(round=moved, transitions=transitions, events=(event,))


def report_entered(
    *,
    report: Entered,
    current: Round,
    rule: Rule,
    entry_id: UUID,
    entered: Collection[str],
    now: datetime,
) -> RoundChange:
    """A player enters. The entry implies that the match is open; this is published, since other services need an open round
    before a player enters. The same player again changes nothing.

    Raises:
        ReportRefused: ``entry_not_offered`` where the rule asks for no fee, ``illegal_transition`` once the match takes
            no more players.
    """
    if report.player in entered:
        return NO_CHANGE
    if rule.entry_fee is None:
        detail = f"rule {rule.version} of {rule.competition} asks for no entry fee"
        raise ReportRefused(Reason.ENTRY_NOT_OFFERED, detail)
    moved, transitions = move(current, RoundState.OPEN, cause=report.cause, now=now)
    events: list[RoundEvent] = []
    version = moved.version + (2 if transitions else 1)
    moved = replace(moved, version=version, updated_at=now)
    if transitions:
        opened = RoundProgressed(
            round=moved,
            version=version - 1,
            caused_by=report.event_id,
            state=RoundState.OPEN,
            at=report.at,
            entry_fee=rule.entry_fee,
        )
        events.append(opened)
    entry = Entry(
        id=entry_id,
        round_id=current.id,
        player=report.player,
        fee=rule.entry_fee,
        event_id=report.event_id,
        entered_at=now,
    )
    events.append(
        RoundEntered(round=moved, version=version, caused_by=report.event_id, entry=entry, at=report.at)
    )
    return RoundChange(round=moved, transitions=transitions, entry=entry, events=tuple(events))


def report_voided(*, report: Voided, current: Round, now: datetime) -> RoundChange:
    """The match does not count. See ``void``."""
    return void(current=current, cause=report.cause, now=now)


def void(*, current: Round, cause: Cause, now: datetime) -> RoundChange:
    """Void the round; waiting parts of results do not count any more. A second void changes nothing.

    A final round is voided by an admin alone, and only while rewards refuses its settlement: nothing of it was booked.

    Raises:
        ReportRefused: ``illegal_transition`` once it is final.
    """
    if current.state is RoundState.VOIDED:
        return NO_CHANGE
    if current.state is RoundState.FINALIZED and (current.refused_at is None or cause.kind != RESOLVE):
        raise ReportRefused(Reason.ILLEGAL_TRANSITION, f"match {current.match_id} is final")
    moved, transitions = move(current, RoundState.VOIDED, cause=cause, now=now)
    moved = replace(moved, version=moved.version + 1, waiting_since=None, refused_at=None)
    event = RoundVoided(
        round=moved, version=moved.version, caused_by=cause.id, reason=cause.reason or cause.kind
    )
    return RoundChange(round=moved, transitions=transitions, events=(event,))


def finalize(*, current: Round, cause: Cause, now: datetime) -> RoundChange:
    """The dispute window of a settled round has passed."""
    moved, transitions = move(current, RoundState.FINALIZED, cause=cause, now=now)
    moved = replace(moved, version=moved.version + 1)
    event = RoundFinalized(
        round=moved, version=moved.version, caused_by=cause.id, settlement_version=moved.settlement_version
    )
    return RoundChange(round=moved, transitions=transitions, events=(event,))
