"""What results do: they wait until they are whole, settle a round, and supersede each other.

A result is placed first (``place_…``: may it count, is it whole now?), then whoever called fetches what is missing of a
whole one, and lets it ``settle`` or ``correct`` the round, or ``wait``.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from prizewire_settlement.domain.commands import Completed, Corrected
from prizewire_settlement.domain.errors import Reason, ReportRefused
from prizewire_settlement.domain.events import RoundCorrected, RoundSettled
from prizewire_settlement.domain.invariants import assert_settlement
from prizewire_settlement.domain.model import Cause, Line, PlayerResult, ResultPart, Round, Rule, Settlement
from prizewire_settlement.domain.prizes import Prizes, check_results, settle_result
from prizewire_settlement.domain.results import document_of, hash_of
from prizewire_settlement.domain.rounds.steps import NOTHING, KnownParts, Step, move, steps
from prizewire_settlement.domain.states import RoundState, path

PARTS_MAX: Final = 100
"""Parts of one result: with 2,000 results each, enough for twice the paid places that a rule may have."""

_DONE: Final = frozenset({RoundState.SETTLED, RoundState.FINALIZED})
_BEFORE_RESULT: Final = frozenset({RoundState.NEW, RoundState.OPEN, RoundState.CLOSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A part that counts; ``whole`` once all the others of its result are here. ``newer`` says that parts of a newer
    correction wait already; ``reporters`` are the persons behind the parts that are here.
    """

    part: ResultPart
    whole: bool
    newer: bool = False
    reporters: tuple[str, ...] = ()


def place_completed(
    *, report: Completed, current: Round, rule: Rule, known: KnownParts, now: datetime
) -> Placed | None:
    """A result came, whole or in part; None for one that stands already. A part sent again replaces the one before.

    Raises:
        ReportRefused: ``result_conflict`` for another result of a settled round, which needs a correction;
            ``schema_invalid``, ``duplicate_player``, ``score_missing``.
    """
    _check_count(report)
    part = _part(report, current, now, reason=None)
    if current.state in _DONE:
        if _is_known(part, known.get((current.result_version or 0, report.part))):
            return None
        detail = f"match {report.match_id} is settled by another result; only a correction can change that"
        raise ReportRefused(Reason.RESULT_CONFLICT, detail)
    return _placed(part, rule=rule, known=known)


def place_corrected(
    *, report: Corrected, current: Round, rule: Rule, known: KnownParts, now: datetime
) -> Placed | None:
    """A correction came, whole or in part; None for one that was taken in already.

    Inside the dispute window, which a correction holds open once it waits or its first part is here.

    Raises:
        ReportRefused: ``result_missing`` before there is a result, which parks; ``illegal_transition`` after a void;
            ``result_conflict`` where ``result_version`` does not grow; ``dispute_window_passed``; ``schema_invalid``,
            ``duplicate_player``, ``score_missing``.
    """
    _check_count(report)
    if current.state in _BEFORE_RESULT:
        detail = f"match {report.match_id} has no result yet that could be corrected"
        raise ReportRefused(Reason.RESULT_MISSING, detail, park=True)
    if current.state is RoundState.VOIDED:
        raise ReportRefused(Reason.ILLEGAL_TRANSITION, f"match {report.match_id} was voided")
    part = _part(report, current, now, reason=report.reason)
    standing = current.result_version or 0
    if part.result_version <= standing:
        if _is_known(part, known.get((part.result_version, part.part))):
            return None
        detail = f"result {standing} of match {report.match_id} stands; a correction needs a higher version"
        raise ReportRefused(Reason.RESULT_CONFLICT, detail)
    begun = any(_same_result(part, other) for other in known.values())
    passed = current.final_at is not None and now >= current.final_at and not (report.waited or begun)
    if current.state is RoundState.FINALIZED or passed:
        detail = f"the dispute window of match {report.match_id} has passed; an admin may still correct it"
        raise ReportRefused(Reason.DISPUTE_WINDOW_PASSED, detail)
    return _placed(part, rule=rule, known=known)


def place_resolved(
    *, results: tuple[PlayerResult, ...], current: Round, cause: Cause, now: datetime
) -> Placed:
    """A result that a person decides on: always whole, and newer than the one that stands. Parts that wait for others
    count no more: what still comes of them is in conflict with it.

    Raises:
        ReportRefused: ``illegal_transition`` for a round that was voided.
    """
    if current.state is RoundState.VOIDED:
        raise ReportRefused(Reason.ILLEGAL_TRANSITION, f"match {current.match_id} was voided")
    part = _make_part(
        current,
        results,
        result_version=(current.result_version or 0) + 1,
        event_id=cause.id or "",
        reason=cause.reason,
        now=now,
        reporter=cause.actor,
    )
    return Placed(part=part, whole=True, reporters=(cause.actor,))


def wait(*, placed: Placed, current: Round, cause: Cause, now: datetime) -> Step:
    """A part is here, others are missing. A first result closes the round, a correction leaves it settled."""
    moved, taken = current, NOTHING.transitions
    if current.state not in _DONE:
        moved, taken = move(current, RoundState.CLOSED, cause=cause, now=now)
    moved = replace(moved, waiting_since=current.waiting_since or now, updated_at=now)
    return Step(round=moved, transitions=taken, part=placed.part)


def settle(
    *,
    placed: Placed,
    results: Sequence[PlayerResult],
    current: Round,
    rule: Rule,
    cause: Cause,
    now: datetime,
    lines_per_part: int,
) -> Step:
    """A whole first result, which the part that was ``placed`` made whole, settles the round.

    Raises:
        ReportRefused: ``illegal_transition``, or what ``prizes.settle_result`` refuses.
    """
    final = not rule.dispute_window
    goal = RoundState.FINALIZED if final else RoundState.SETTLED
    edges = path(before=current.state, after=goal)
    return _settled(
        part=placed.part,
        reporters=placed.reporters,
        result_version=placed.part.result_version,
        waiting_since=_still_waiting(placed, current),
        prizes=_prizes(rule, results),
        edges=edges,
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
    placed: Placed,
    results: Sequence[PlayerResult],
    before: Sequence[Line],
    current: Round,
    rule: Rule,
    cause: Cause,
    now: datetime,
    lines_per_part: int,
) -> Step:
    """A whole result, which the part that was ``placed`` made whole, supersedes the one that stands: ranked anew under the round's rule.

    Where every line of the settlement ``before`` stays as it is, the result is the one that stands from now on, and
    nothing else happens. A final round stays final, and ``final_at`` what it was.

    Raises:
        ReportRefused: what ``prizes.settle_result`` refuses.
    """
    assert current.final_at is not None, "a correction follows a settlement"
    prizes = _prizes(rule, results)
    if prizes.lines == tuple(before):
        moved = replace(
            current,
            result_version=placed.part.result_version,
            waiting_since=_still_waiting(placed, current),
            updated_at=now,
        )
        return Step(round=moved, part=placed.part)
    return _settled(
        part=placed.part,
        reporters=placed.reporters,
        result_version=placed.part.result_version,
        waiting_since=_still_waiting(placed, current),
        prizes=prizes,
        edges=_again(current),
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
) -> Step:
    """The result that stands settles a refused round anew, under another ``rule`` of its competition, which the round keeps
    from now on. A final round stays final, and ``final_at`` what it was. ``reporters`` are the persons who reported the
    result; who decides this is one more.

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
        prizes=_prizes(rule, results),
        edges=_again(current),
        final_at=current.final_at,
        final=current.state is RoundState.FINALIZED,
        current=replace(current, rule_version=rule.version),
        rule=rule,
        cause=cause,
        now=now,
        lines_per_part=lines_per_part,
        anew=True,
    )


def _again(current: Round) -> list[tuple[RoundState, RoundState]]:
    """The steps of a settled round to another settlement, and to finality where it was final."""
    edges = [(current.state, RoundState.RESOLVED), (RoundState.RESOLVED, RoundState.SETTLED)]
    if current.state is RoundState.FINALIZED:
        edges.append((RoundState.SETTLED, RoundState.FINALIZED))
    return edges


def _prizes(rule: Rule, results: Sequence[PlayerResult]) -> Prizes:
    prizes = settle_result(rule=rule, results=results)
    assert_settlement(fees=prizes.fees, unclaimed=prizes.unclaimed, lines=prizes.lines)
    return prizes


def _settled(
    *,
    part: ResultPart | None,
    reporters: tuple[str, ...],
    result_version: int,
    waiting_since: datetime | None,
    prizes: Prizes,
    edges: Sequence[tuple[RoundState, RoundState]],
    final_at: datetime,
    final: bool,
    current: Round,
    rule: Rule,
    cause: Cause,
    now: datetime,
    lines_per_part: int,
    anew: bool = False,
) -> Step:
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
        anew=anew,
    )
    moved = replace(
        current,
        state=edges[-1][1],
        state_seq=current.state_seq + len(edges),
        version=current.version + parts,
        settlement_version=settlement.version,
        result_version=result_version,
        final_at=final_at,
        waiting_since=waiting_since,
        refused_at=None,
        updated_at=now,
    )
    return Step(
        round=moved,
        transitions=steps(current, *edges, cause=cause, now=now),
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


def _still_waiting(placed: Placed, current: Round) -> datetime | None:
    return current.waiting_since if placed.newer else None


def _event(moved: Round, settlement: Settlement, index: int, lines: tuple[Line, ...]) -> RoundSettled:
    version, caused_by = settlement.first_event + index, settlement.cause.id
    part = index + 1
    if settlement.version == 1 or settlement.anew:
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


def _check_count(report: Completed) -> None:
    if report.part > report.parts or report.parts > PARTS_MAX:
        detail = f"part {report.part} of {report.parts}: parts count from 1 to at most {PARTS_MAX}"
        raise ReportRefused(Reason.SCHEMA_INVALID, detail)


def _placed(part: ResultPart, *, rule: Rule, known: KnownParts) -> Placed:
    """Parts of another count, or of a result of another kind, belong to another attempt."""
    newer = part.reason is not None and any(
        other.reason is not None and other.result_version > part.result_version for other in known.values()
    )
    if part.parts == 1:
        return Placed(part=part, whole=True, newer=newer, reporters=_reporters([part]))
    check_results(rule=rule, results=part.results)
    here = {other.part: other for other in known.values() if _same_result(part, other)} | {part.part: part}
    whole = len(here) == part.parts
    return Placed(part=part, whole=whole, newer=newer, reporters=_reporters(here.values()))


def _reporters(parts: Iterable[ResultPart]) -> tuple[str, ...]:
    return tuple(sorted({part.reporter for part in parts if part.reporter is not None}))


def _same_result(part: ResultPart, other: ResultPart) -> bool:
    return (
        other.result_version == part.result_version
        and other.parts == part.parts
        and (other.reason is None) == (part.reason is None)
    )


def _is_known(part: ResultPart, known: ResultPart | None) -> bool:
    return known is not None and known.parts == part.parts and known.hash == part.hash


def _part(report: Completed, current: Round, now: datetime, *, reason: str | None) -> ResultPart:
    return _make_part(
        current,
        report.results,
        result_version=report.result_version,
        event_id=report.event_id,
        reason=reason,
        now=now,
        part=report.part,
        parts=report.parts,
        reporter=report.reporter,
    )


def _make_part(
    current: Round,
    results: tuple[PlayerResult, ...],
    *,
    result_version: int,
    event_id: str,
    reason: str | None,
    now: datetime,
    reporter: str | None,
    part: int = 1,
    parts: int = 1,
) -> ResultPart:
    document = document_of(results)
    return ResultPart(
        round_id=current.id,
        result_version=result_version,
        part=part,
        parts=parts,
        hash=hash_of(document),
        document=document,
        results=results,
        players=len(results),
        reason=reason,
        event_id=event_id,
        received_at=now,
        reporter=reporter,
    )
