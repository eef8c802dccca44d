"""What a report does to a round. Pure: the same round, rule, report and time give the same step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from prizewire_settlement.domain.commands import Completed, MatchReport, Progress
from prizewire_settlement.domain.errors import Reason, ReportRefused
from prizewire_settlement.domain.events import RoundEvent, RoundFinalized, RoundProgressed, RoundSettled
from prizewire_settlement.domain.invariants import assert_settlement
from prizewire_settlement.domain.model import (
    Cause,
    PlayerResult,
    ResultPart,
    Round,
    Rule,
    Settlement,
    Transition,
)
from prizewire_settlement.domain.prizes import check_results, settle_result
from prizewire_settlement.domain.results import document_of, hash_of
from prizewire_settlement.domain.states import RoundState, path

__all__ = [
    "PARTS_MAX",
    "KnownParts",
    "Step",
    "check_binding",
    "finalize",
    "report_completed",
    "report_progress",
]

PARTS_MAX: Final = 100
"""Parts of one result: with 2,000 results each, enough for twice the paid places that a rule may have."""

_DONE: Final = frozenset({RoundState.SETTLED, RoundState.FINALIZED})
_BEGUN: Final = frozenset({RoundState.CLOSED, RoundState.RESOLVED, *_DONE})

KnownParts = Mapping[tuple[int, int], ResultPart]
"""Result parts of one round that are here already, by (result_version, part)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What follows from one report. Without a round, nothing does: the report said what was known."""

    round: Round | None = None
    transitions: tuple[Transition, ...] = ()
    part: ResultPart | None = None
    settlement: Settlement | None = None
    events: tuple[RoundEvent, ...] = ()


NOTHING: Final = Step()


def check_binding(*, report: MatchReport, known: Round) -> None:
    """Refuse a report that does not belong to the round of its (source, match).

    A report without a correlation id takes the round's: it does not name another one.

    Raises:
        ReportRefused: ``correlation_mismatch``, or ``event_mismatch`` for another competition.
    """
    if report.correlation_id is not None and report.correlation_id != known.correlation_id:
        detail = f"match {report.match_id} is bound to {known.correlation_id}, not to {report.correlation_id}"
        raise ReportRefused(Reason.CORRELATION_MISMATCH, detail)
    if report.competition != known.competition:
        detail = f"match {report.match_id} belongs to {known.competition}, not to {report.competition}"
        raise ReportRefused(Reason.EVENT_MISMATCH, detail)


def begin(*, report: MatchReport, round_id: UUID, correlation_id: str, rule: Rule, now: datetime) -> Round:
    """The round of a match that was not heard of before: bound to its correlation id and its rule."""
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


def report_progress(*, report: Progress, current: Round, now: datetime) -> Step:
    """The match opened or closed. What a later report has implied already changes nothing.

    Raises:
        ReportRefused: ``illegal_transition`` after the round was voided.
    """
    if current.state in _BEGUN or (current.state is RoundState.OPEN and not report.closed):
        return NOTHING
    goal = RoundState.CLOSED if report.closed else RoundState.OPEN
    moved, transitions = _move(current, goal, cause=_cause(report), now=now)
    moved = replace(moved, version=moved.version + 1)
    event = RoundProgressed(
        round=moved, version=moved.version, caused_by=report.event_id, state=goal, at=report.at
    )
    return Step(round=moved, transitions=transitions, events=(event,))


def report_completed(
    *, report: Completed, current: Round, rule: Rule, known: KnownParts, now: datetime, lines_per_part: int
) -> Step:
    """A result came, whole or in part. Parts wait until all are here; a part sent again replaces the one before.

    A round that is settled takes the same result again without effect. Another one needs a correction.

    Raises:
        ReportRefused: ``result_conflict``, ``schema_invalid``, ``illegal_transition``, or what
            ``prizes.settle_result`` refuses.
    """
    if report.part > report.parts or report.parts > PARTS_MAX:
        detail = f"part {report.part} of {report.parts}: parts count from 1 to at most {PARTS_MAX}"
        raise ReportRefused(Reason.SCHEMA_INVALID, detail)
    part = _part(report, current.id, now)
    if current.state in _DONE:
        settled = known.get((current.result_version or 0, report.part))
        if settled is not None and settled.parts == part.parts and settled.hash == part.hash:
            return NOTHING
        detail = f"match {report.match_id} is settled by another result; only a correction can change that"
        raise ReportRefused(Reason.RESULT_CONFLICT, detail)
    cause = _cause(report)
    whole: Sequence[PlayerResult] | None = report.results
    if report.parts > 1:
        check_results(rule=rule, results=report.results)
        whole = _whole(part, known)
    if whole is None:
        moved, transitions = _move(current, RoundState.CLOSED, cause=cause, now=now)
        return Step(round=moved, transitions=transitions, part=part)
    return _settle(
        part=part,
        results=whole,
        current=current,
        rule=rule,
        cause=cause,
        now=now,
        lines_per_part=lines_per_part,
    )


def finalize(*, current: Round, cause: Cause, now: datetime) -> Step:
    """The dispute window of a settled round has passed."""
    moved, transitions = _move(current, RoundState.FINALIZED, cause=cause, now=now)
    moved = replace(moved, version=moved.version + 1)
    event = RoundFinalized(
        round=moved, version=moved.version, caused_by=cause.id, settlement_version=moved.settlement_version
    )
    return Step(round=moved, transitions=transitions, events=(event,))


def _settle(
    *,
    part: ResultPart,
    results: Sequence[PlayerResult],
    current: Round,
    rule: Rule,
    cause: Cause,
    now: datetime,
    lines_per_part: int,
) -> Step:
    prizes = settle_result(rule=rule, results=results)
    assert_settlement(fees=prizes.fees, unclaimed=prizes.unclaimed, lines=prizes.lines)
    final = not rule.dispute_window
    goal = RoundState.FINALIZED if final else RoundState.SETTLED
    transitions = _steps(current, goal, cause=cause, now=now)
    final_at = now + rule.dispute_window
    parts = max(1, -(-len(prizes.lines) // lines_per_part))
    settlement = Settlement(
        round_id=current.id,
        version=current.settlement_version + 1,
        rule=rule,
        fees=prizes.fees,
        unclaimed=prizes.unclaimed,
        lines=prizes.lines,
        parts=parts,
        first_event=current.version + 1,
        final=final,
        final_at=final_at,
        settled_at=now,
        cause=cause,
    )
    moved = replace(
        current,
        state=goal,
        state_seq=current.state_seq + len(transitions),
        version=current.version + parts,
        settlement_version=settlement.version,
        result_version=part.result_version,
        final_at=final_at,
        updated_at=now,
    )
    events = tuple(
        RoundSettled(
            round=moved,
            version=settlement.first_event + index,
            caused_by=cause.id,
            settlement=settlement,
            part=index + 1,
            lines=prizes.lines[index * lines_per_part : (index + 1) * lines_per_part],
        )
        for index in range(parts)
    )
    return Step(round=moved, transitions=transitions, part=part, settlement=settlement, events=events)


def _part(report: Completed, round_id: UUID, now: datetime) -> ResultPart:
    document = document_of(report.results)
    return ResultPart(
        round_id=round_id,
        result_version=report.result_version,
        part=report.part,
        parts=report.parts,
        hash=hash_of(document),
        document=document,
        results=report.results,
        event_id=report.event_id,
        received_at=now,
    )


def _whole(part: ResultPart, known: KnownParts) -> list[PlayerResult] | None:
    """All results once every part is here, else None. Parts of another count belong to another attempt."""
    here = {
        other.part: other
        for (version, _), other in known.items()
        if version == part.result_version and other.parts == part.parts
    }
    here[part.part] = part
    if len(here) < part.parts:
        return None
    return [result for number in sorted(here) for result in here[number].results]


def _cause(report: MatchReport) -> Cause:
    return Cause(kind=report.kind, id=report.event_id, actor=report.source)


def _move(
    current: Round, goal: RoundState, *, cause: Cause, now: datetime
) -> tuple[Round, tuple[Transition, ...]]:
    steps = _steps(current, goal, cause=cause, now=now)
    if not steps:
        return current, ()
    return replace(current, state=goal, state_seq=current.state_seq + len(steps), updated_at=now), steps


def _steps(current: Round, goal: RoundState, *, cause: Cause, now: datetime) -> tuple[Transition, ...]:
    return tuple(
        Transition(current.id, current.state_seq + n, before, after, cause, current.correlation_id, now)
        for n, (before, after) in enumerate(path(before=current.state, after=goal), start=1)
    )
