"""A batch of match reports: authenticate, then lock, decide in order, save once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts.ids import entry_id, match_correlation_id, round_id
from prizewire_settlement.competitions.domain.model import Competition, Rule, SourceChange
from prizewire_settlement.errors import ReportRefused
from prizewire_settlement.prizes.domain import Line, PlayerResult
from prizewire_settlement.rounds.domain.acceptance import (
    accept_completed,
    accept_corrected,
    admitted_by,
    authenticate,
)
from prizewire_settlement.rounds.domain.changes import (
    NO_CHANGE,
    RoundChange,
    check_binding,
    new_round,
    report_entered,
    report_progress,
    report_voided,
)
from prizewire_settlement.rounds.domain.model import (
    Completed,
    Corrected,
    Entered,
    MatchReport,
    Progress,
    ResultPart,
    Round,
    RoundVoided,
    Voided,
)
from prizewire_settlement.rounds.domain.settling import correct, settle, wait
from prizewire_settlement.rounds.ports import UnitOfWork


@dataclass(frozen=True, slots=True)
class Admitted:
    """The outcome of admission: refusals by index, and the competitions of all other reports."""

    refused: dict[int, ReportRefused]
    competitions: dict[str, Competition]


@dataclass(slots=True)
class Applied:
    """The outcome of a batch: refusals by index, and how much was settled."""

    refused: dict[int, ReportRefused]
    rounds_settled: int = 0
    rounds_corrected: int = 0
    rounds_voided: int = 0
    lines: int = 0
    resolution_s: list[float] = field(default_factory=list)
    """Of each round that was settled for the first time: seconds since the first report of its match's end."""


@dataclass(slots=True)
class _Loaded:
    """The state that a batch decides on; each report of the batch advances it. ``lines`` are those of settlements that
    the batch itself made, ``entered`` the players of rounds that the batch's entries belong to, ``changes`` are the rule
    versions that changed sources, by competition, as far back as the batch's results need them.
    """

    rounds: dict[UUID, Round]
    rules: dict[tuple[str, int], Rule]
    parts: dict[UUID, dict[tuple[int, int], ResultPart]]
    entered: dict[UUID, set[str]]
    changes: Mapping[str, Sequence[SourceChange]]
    now: datetime
    lines_per_part: int
    lines: dict[UUID, tuple[Line, ...]] = field(default_factory=dict)


async def admit_reports(reports: Sequence[MatchReport], *, unit_of_work: UnitOfWork) -> Admitted:
    """Authenticate reports. This reads competitions only and changes nothing."""
    competitions = await unit_of_work.competitions({report.competition for report in reports})
    refused: dict[int, ReportRefused] = {}
    for index, report in enumerate(reports):
        try:
            authenticate(report=report, competitions=competitions)
        except ReportRefused as problem:
            refused[index] = problem
    return Admitted(refused, competitions)


async def apply_reports(
    reports: Sequence[MatchReport],
    *,
    competitions: Mapping[str, Competition],
    unit_of_work: UnitOfWork,
    now: datetime,
    lines_per_part: int,
) -> Applied:
    """Apply reports that were admitted, in their order. A batch may hold several reports of one match.

    A refused report changes nothing. ``competitions`` are those that admission found; ``lines_per_part`` bounds the
    lines of one ``round.settled``.
    """
    applied = Applied({})
    changes: list[RoundChange] = []
    admitted = [
        (
            index,
            round_id(source=report.source, match_id=report.match_id),
            report,
            competitions[report.competition],
        )
        for index, report in enumerate(reports)
    ]
    loaded = await _load(unit_of_work, admitted, now=now, lines_per_part=lines_per_part)
    for index, subject, report, competition in admitted:
        try:
            change = await _decide(report, subject, competition, loaded, unit_of_work)
        except ReportRefused as refused:
            applied.refused[index] = refused
            continue
        if change.round is not None:
            changes.append(replace(change, new=subject not in loaded.rounds))
            _count(change, report, loaded.rounds.get(subject), applied)
            _follow(change, change.round, loaded)
    await unit_of_work.save(changes)
    return applied


async def _load(
    unit_of_work: UnitOfWork,
    admitted: Sequence[tuple[int, UUID, MatchReport, Competition]],
    *,
    now: datetime,
    lines_per_part: int,
) -> _Loaded:
    rules = {(c.id, c.rule.version): c.rule for _, _, _, c in admitted}
    rounds = await unit_of_work.rounds({subject for _, subject, _, _ in admitted})
    older = {(found.competition, found.rule_version) for found in rounds.values()} - rules.keys()
    if older:
        rules.update(await unit_of_work.rules(older))
    completed = {
        subject for _, subject, report, _ in admitted if subject in rounds and isinstance(report, Completed)
    }
    parts = await unit_of_work.parts(completed) if completed else {}
    entering = {
        (subject, report.player)
        for _, subject, report, _ in admitted
        if isinstance(report, Entered) and subject in rounds
    }
    entered = await unit_of_work.entered(entering) if entering else {}
    begun: dict[str, tuple[int, int]] = {}
    for _, subject, _, competition in admitted:
        if subject in completed and rounds[subject].competition == competition.id:
            first, _ = begun.get(competition.id, (competition.rule.version, 0))
            begun[competition.id] = (min(first, rounds[subject].rule_version), competition.rule.version)
    stale = [(name, first, last) for name, (first, last) in begun.items() if first < last]
    changes = await unit_of_work.source_changes(stale) if stale else {}
    return _Loaded(rounds, rules, parts, entered, changes, now, lines_per_part)


async def _decide(
    report: MatchReport, subject: UUID, competition: Competition, loaded: _Loaded, unit_of_work: UnitOfWork
) -> RoundChange:
    current, now = loaded.rounds.get(subject), loaded.now
    if current is None:
        bound = report.correlation_id or str(
            match_correlation_id(source=report.source, match_id=report.match_id)
        )
        current = new_round(
            report=report, round_id=subject, correlation_id=bound, rule=competition.rule, now=now
        )
    else:
        check_binding(report=report, known=current)
        now = current.time_of_change(now)
    if isinstance(report, Completed):
        return await _decide_result(report, current, loaded, unit_of_work, now=now)
    rule = loaded.rules[current.competition, current.rule_version]
    if isinstance(report, Progress):
        return report_progress(report=report, current=current, rule=rule, now=now)
    if isinstance(report, Entered):
        return report_entered(
            report=report,
            current=current,
            rule=rule,
            entry_id=entry_id(round_id=subject, player=report.player),
            entered=loaded.entered.get(subject, ()),
            now=now,
        )
    assert isinstance(report, Voided)
    return report_voided(report=report, current=current, now=now)


async def _decide_result(
    report: Completed, current: Round, loaded: _Loaded, unit_of_work: UnitOfWork, *, now: datetime
) -> RoundChange:
    report, rule = _with_reporter(report, current, loaded)
    known = loaded.parts.get(current.id, {})
    if isinstance(report, Corrected):
        accepted = accept_corrected(report=report, current=current, rule=rule, known=known, now=now)
    else:
        accepted = accept_completed(report=report, current=current, rule=rule, known=known, now=now)
    if accepted is None:
        return NO_CHANGE
    cause = report.cause
    if not accepted.whole:
        return wait(accepted=accepted, current=current, cause=cause, now=now)
    results = await _whole_result(accepted.part, known, unit_of_work)
    if not isinstance(report, Corrected):
        return settle(
            accepted=accepted,
            results=results,
            current=current,
            rule=rule,
            cause=cause,
            now=now,
            lines_per_part=loaded.lines_per_part,
        )
    before = loaded.lines.get(current.id)
    if before is None:
        before = await unit_of_work.lines(current.id, current.settlement_version)
    return correct(
        accepted=accepted,
        results=results,
        before=before,
        current=current,
        rule=rule,
        cause=cause,
        now=now,
        lines_per_part=loaded.lines_per_part,
    )


def _with_reporter(report: Completed, current: Round, loaded: _Loaded) -> tuple[Completed, Rule]:
    """The result with its reporter, and the round's rule with the writers of the later versions that let the result in:
    sources and keys are those in force, whatever rule the round keeps.
    """
    rule = loaded.rules[current.competition, current.rule_version]
    changes = [one for one in loaded.changes.get(current.competition, ()) if one.version > rule.version]
    if not changes:
        return report, rule
    if report.reporter is None:
        writer = admitted_by(report=report, bound=rule.sources, changes=changes)
        report = replace(report, reporter=writer)
    writers = {*rule.writers, *(change.by for change in changes)}
    return report, replace(rule, writers=tuple(sorted(writers)))


async def _whole_result(
    part: ResultPart, known: Mapping[tuple[int, int], ResultPart], unit_of_work: UnitOfWork
) -> Sequence[PlayerResult]:
    """All player results of a result that ``part`` completes. Stored documents are read only here."""
    if part.parts == 1:
        return part.results
    others = [
        known[part.result_version, number] for number in range(1, part.parts + 1) if number != part.part
    ]
    here = {part.part: part.results} | {other.part: other.results for other in others if other.results}
    stored = [other for other in others if not other.results]
    if stored:
        here |= await unit_of_work.results(stored)
    return [result for number in sorted(here) for result in here[number]]


def _follow(change: RoundChange, moved: Round, loaded: _Loaded) -> None:
    """Advance the loaded state, for the reports that follow in the batch."""
    loaded.rounds[moved.id] = moved
    if change.part is not None:
        loaded.parts.setdefault(moved.id, {})[change.part.result_version, change.part.part] = change.part
    if change.entry is not None:
        loaded.entered.setdefault(moved.id, set()).add(change.entry.player)
    if change.settlement is not None:
        loaded.lines[moved.id] = change.settlement.lines


def _count(change: RoundChange, report: MatchReport, before: Round | None, applied: Applied) -> None:
    if change.settlement is not None:
        if change.settlement.version == 1:
            applied.rounds_settled += 1
            begun = report.at
            if before is not None and before.waiting_since is not None:
                begun = min(begun, before.waiting_since)
            # the clocks of game servers may be ahead
            applied.resolution_s.append(max(0.0, (change.settlement.settled_at - begun).total_seconds()))
        applied.rounds_corrected += change.settlement.version > 1
        applied.lines += len(change.settlement.lines)
    applied.rounds_voided += isinstance(change.events[-1], RoundVoided) if change.events else False
