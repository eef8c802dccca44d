"""A result waits for its missing parts, settles its round, or supersedes the result before it."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.prizes.domain import Line, PlayerResult, Prizes, settle_result
from prizewire_settlement.rounds.domain.acceptance import AcceptedPart
from prizewire_settlement.rounds.domain.changes import NO_CHANGE, RoundChange, move, transitions_along
from prizewire_settlement.rounds.domain.model import (
    HAS_RESULT,
    Cause,
    ResultPart,
    Round,
    RoundCorrected,
    RoundSettled,
    RoundState,
    Settlement,
    Transition,
)


def wait(*, accepted: AcceptedPart, current: Round, cause: Cause, now: datetime) -> RoundChange:
    """Store a part of which others are missing. A first result closes the round, a correction leaves it settled."""
    moved, taken = current, NO_CHANGE.transitions
    if current.state not in HAS_RESULT:
        moved, taken = move(current, RoundState.CLOSED, cause=cause, now=now)
    moved = replace(moved, waiting_since=current.waiting_since or now, updated_at=now)
    return RoundChange(round=moved, transitions=taken, part=accepted.part)


def settle(
    *,
    accepted: AcceptedPart,
    results: Sequence[PlayerResult],
    current: Round,
    rule: Rule,
    cause: Cause,
    now: datetime,
    lines_per_part: int,
) -> RoundChange:
    """Settle the round by its first result, which the ``accepted`` part completes.

    Raises:
        ReportRefused: ``illegal_transition``, or what ``prizes.settle_result`` refuses.
    """
    final = not rule.dispute_window
    goal = RoundState.FINALIZED if final else RoundState.SETTLED
    _, taken = move(current, goal, cause=cause, now=now)
    return _settled(
        part=accepted.part,
        reporters=accepted.reporters,
        result_version=accepted.part.result_version,
        waiting_since=_still_waiting(accepted, current),
        prizes=settle_result(rule=rule, results=results),
        taken=taken,
        final_at=now + rule.dispute_window,
        final=final,
        current=current,
        rule=rule,
        cause=cause,
        now=now,
        lines_per_part=lines_per_part,
    )


def correct(
    *,
    accepted: AcceptedPart,
    results: Sequence[PlayerResult],
    before: Sequence[Line],
    current: Round,
    rule: Rule,
    cause: Cause,
    now: datetime,
    lines_per_part: int,
) -> RoundChange:
    """Correct the round by a result that supersedes the one that stands. The ``accepted`` part completes it, and the rule of
    the round ranks it.

    Where every line of the settlement ``before`` stays the same, the new result stands from then on, and nothing else
    changes. A final round stays final, and ``final_at`` does not change.

    Raises:
        ReportRefused: what ``prizes.settle_result`` refuses.
    """
    assert current.final_at is not None, "a correction follows a settlement"
    prizes = settle_result(rule=rule, results=results)
    if prizes.lines == tuple(before):
        moved = replace(
            current,
            result_version=accepted.part.result_version,
            waiting_since=_still_waiting(accepted, current),
            updated_at=now,
        )
        return RoundChange(round=moved, part=accepted.part)
    return _settled(
        part=accepted.part,
        reporters=accepted.reporters,
        result_version=accepted.part.result_version,
        waiting_since=_still_waiting(accepted, current),
        prizes=prizes,
        taken=_again(current, cause=cause, now=now),
        final_at=current.final_at,
        final=current.state is RoundState.FINALIZED,
        current=current,
        rule=rule,
        cause=cause,
        now=now,
        lines_per_part=lines_per_part,
    )


def resettle(
    *,
    results: Sequence[PlayerResult],
    reporters: Collection[str],
    current: Round,
    rule: Rule,
    cause: Cause,
    now: datetime,
    lines_per_part: int,
) -> RoundChange:
    """Resettle a refused round: the result that stands, under another ``rule`` of its competition, which the round keeps
    from then on. A final round stays final, and ``final_at`` does not change. ``reporters`` are the persons who reported
    the result; the person who decides this is added to them.

    Raises:
        ReportRefused: what ``prizes.settle_result`` refuses.
    """
    assert current.final_at is not None, "only a settled round is refused"
    assert current.result_version is not None, "a settled round has a result"
    return _settled(
        part=None,
        reporters=tuple(sorted({*reporters, cause.actor})),
        result_version=current.result_version,
        waiting_since=current.waiting_since,
        prizes=settle_result(rule=rule, results=results),
        taken=_again(current, cause=cause, now=now),
        final_at=current.final_at,
        final=current.state is RoundState.FINALIZED,
        current=replace(current, rule_version=rule.version),
        rule=rule,
        cause=cause,
        now=now,
        lines_per_part=lines_per_part,
        resettled=True,
    )


def _again(current: Round, *, cause: Cause, now: datetime) -> tuple[Transition, ...]:
    """The transitions of a settled round to another settlement, and to finality where it was final."""
    edges = [(current.state, RoundState.RESOLVED), (RoundState.RESOLVED, RoundState.SETTLED)]
    if current.state is RoundState.FINALIZED:
        edges.append((RoundState.SETTLED, RoundState.FINALIZED))
    return transitions_along(current, *edges, cause=cause, now=now)


def _settled(
    *,
    part: ResultPart | None,
    reporters: tuple[str, ...],
    result_version: int,
    waiting_since: datetime | None,
    prizes: Prizes,
    taken: tuple[Transition, ...],
    final_at: datetime,
    final: bool,
    current: Round,
    rule: Rule,
    cause: Cause,
    now: datetime,
    lines_per_part: int,
    resettled: bool = False,
) -> RoundChange:
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
        reporters=reporters,
        resettled=resettled,
    )
    moved = replace(
        current,
        state=taken[-1].after,
        state_seq=taken[-1].seq,
        version=current.version + parts,
        settlement_version=settlement.version,
        result_version=result_version,
        final_at=final_at,
        waiting_since=waiting_since,
        refused_at=None,
        updated_at=now,
    )
    return RoundChange(
        round=moved,
        transitions=taken,
        part=part,
        settlement=settlement,
        events=tuple(
            _event(
                moved,
                settlement,
                index,
                prizes.lines[index * lines_per_part : (index + 1) * lines_per_part],
            )
            for index in range(parts)
        ),
    )


def _still_waiting(accepted: AcceptedPart, current: Round) -> datetime | None:
    return current.waiting_since if accepted.newer else None


def _event(moved: Round, settlement: Settlement, index: int, lines: tuple[Line, ...]) -> RoundSettled:
    version, caused_by = settlement.first_event + index, settlement.cause.id
    part = index + 1
    if settlement.version == 1 or settlement.resettled:
        return RoundSettled(
            round=moved, version=version, caused_by=caused_by, settlement=settlement, part=part, lines=lines
        )
    return RoundCorrected(
        round=moved,
        version=version,
        caused_by=caused_by,
        settlement=settlement,
        part=part,
        lines=lines,
        reason=settlement.cause.reason or settlement.cause.kind,
    )
