"""A batch of match reports: authenticate, then lock, decide in order, save once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_contracts.ids import match_correlation_id, round_id
from prizewire_settlement.domain.authenticity import authenticate
from prizewire_settlement.domain.commands import Completed, MatchReport, Progress
from prizewire_settlement.domain.errors import Reason, ReportRefused
from prizewire_settlement.domain.events import RoundEvent
from prizewire_settlement.domain.model import Competition, ResultPart, Round, Rule
from prizewire_settlement.domain.rounds import Step, begin, check_binding, report_completed, report_progress
from prizewire_settlement.ports import Changes, EventSink, RoundStore

__all__ = ["Admitted", "Applied", "admit_reports", "apply_reports"]


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who may be believed: refusals by index, and the competitions that all others belong to."""

    refused: dict[int, ReportRefused]
    competitions: dict[str, Competition]


@dataclass(slots=True)
class Applied:
    """What became of a batch: refusals by index, and how much was settled."""

    refused: dict[int, ReportRefused]
    rounds_settled: int = 0
    lines: int = 0


@dataclass(slots=True)
class _Loaded:
    """The state that a batch decides on; it moves forward with every report."""

    rounds: dict[UUID, Round]
    rules: dict[tuple[str, int], Rule]
    parts: dict[UUID, dict[tuple[int, int], ResultPart]]
    now: datetime
    lines_per_part: int


async def admit_reports(reports: Sequence[MatchReport], *, store: RoundStore) -> Admitted:
    """Find out which reports are authentic. It asks for nothing but competitions, and changes nothing."""
    competitions = await store.competitions({report.competition for report in reports})
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
    store: RoundStore,
    events: EventSink,
    now: datetime,
    lines_per_part: int,
) -> Applied:
    """Apply reports that were admitted, in their order. Several of one match may stand in one batch.

    Nothing of a refused report stays. ``competitions`` are those that admission found; ``lines_per_part`` bounds the
    lines of one ``round.settled``.
    """
    outcome = Applied({})
    believed = [
        (
            index,
            round_id(source=report.source, match_id=report.match_id),
            report,
            competitions[report.competition],
        )
        for index, report in enumerate(reports)
    ]
    loaded = await _load(store, believed, now=now, lines_per_part=lines_per_part)
    changes = Changes()
    published: list[RoundEvent] = []
    for index, subject, report, competition in believed:
        try:
            step = _decide(report, subject, competition, loaded)
        except ReportRefused as refused:
            outcome.refused[index] = refused
        else:
            _take(step, changes, loaded, published, outcome)
    if changes.rounds:
        await store.save(changes)
        await events.publish(published)
    return outcome


async def _load(
    store: RoundStore,
    believed: Sequence[tuple[int, UUID, MatchReport, Competition]],
    *,
    now: datetime,
    lines_per_part: int,
) -> _Loaded:
    rules = {(c.id, c.rule.version): c.rule for _, _, _, c in believed}
    rounds = await store.rounds({subject for _, subject, _, _ in believed})
    older = {(found.competition, found.rule_version) for found in rounds.values()} - rules.keys()
    if older:
        rules.update(await store.rules(older))
    completed = {
        subject for _, subject, report, _ in believed if subject in rounds and isinstance(report, Completed)
    }
    parts = await store.parts(completed) if completed else {}
    return _Loaded(rounds, rules, parts, now, lines_per_part)


def _decide(report: MatchReport, subject: UUID, competition: Competition, loaded: _Loaded) -> Step:
    current = loaded.rounds.get(subject)
    if current is None:
        bound = report.correlation_id or str(
            match_correlation_id(source=report.source, match_id=report.match_id)
        )
        current = begin(
            report=report, round_id=subject, correlation_id=bound, rule=competition.rule, now=loaded.now
        )
    else:
        check_binding(report=report, known=current)
    if isinstance(report, Progress):
        return report_progress(report=report, current=current, now=loaded.now)
    if isinstance(report, Completed):
        return report_completed(
            report=report,
            current=current,
            rule=loaded.rules[current.competition, current.rule_version],
            known=loaded.parts.get(subject, {}),
            now=loaded.now,
            lines_per_part=loaded.lines_per_part,
        )
    detail = (
        f"{report.kind} is kept until a version that applies it; later reports of the match wait behind it"
    )
    raise ReportRefused(Reason.NOT_SUPPORTED_YET, detail, park=True)


def _take(
    step: Step, changes: Changes, loaded: _Loaded, published: list[RoundEvent], outcome: Applied
) -> None:
    if step.round is None:
        return
    moved = step.round
    if moved.id not in loaded.rounds:
        changes.born.add(moved.id)
    loaded.rounds[moved.id] = changes.rounds[moved.id] = moved
    changes.transitions.extend(step.transitions)
    if step.part is not None:
        key = (step.part.result_version, step.part.part)
        loaded.parts.setdefault(moved.id, {})[key] = step.part
        changes.parts[moved.id, *key] = step.part
    if step.settlement is not None:
        changes.settlements.append(step.settlement)
        outcome.rounds_settled += 1
        outcome.lines += len(step.settlement.lines)
    published.extend(step.events)
