"""Changes of a round: its creation, its binding to a match, and its transitions along the table of states."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.rounds.domain.commands import Corrected, MatchReport, Voided
from prizewire_settlement.rounds.domain.events import RoundEvent
from prizewire_settlement.rounds.domain.model import (
    Cause,
    Entry,
    Refusal,
    ResultPart,
    Round,
    Settlement,
    Transition,
)
from prizewire_settlement.rounds.domain.states import RoundState, path

RESOLVE: Final = "admin.resolve"
"""The kind of a cause that is a person's decision. The database refuses every other cause of a transition out of FINALIZED."""
KnownParts = Mapping[tuple[int, int], ResultPart]
"""Stored result parts of one round, by (result_version, part)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundChange:
    """What one report or decision changes about a round. Without a round it changes nothing."""

    round: Round | None = None
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


def cause_of(report: MatchReport) -> Cause:
    """A game server's report as a cause."""
    reason = report.reason if isinstance(report, Corrected | Voided) else None
    return Cause(kind=report.kind, id=report.event_id, actor=report.source, reason=reason)


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
