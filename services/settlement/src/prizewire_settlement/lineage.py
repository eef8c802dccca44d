"""Settlement's part of a lineage: results, transitions, rules and lines of one correlation id."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import Lineage, LineageEntry
from prizewire_contracts.text import counted
from prizewire_settlement.competitions.domain.rules import score_to_text
from prizewire_settlement.competitions.http.answers import money, rule_parts
from prizewire_settlement.prizes.domain import PlayerResult
from prizewire_settlement.prizes.http import line_answer
from prizewire_settlement.rounds.domain.changes import RESOLVE
from prizewire_settlement.rounds.domain.model import (
    EDGES,
    Disownment,
    Refusal,
    ResultPart,
    Settlement,
    Transition,
)
from prizewire_settlement.rounds.http.answers import (
    disowned_answer,
    refusal_answer,
    settlement_answer,
    transition_answer,
)
from prizewire_settlement.rounds.ports import Queries, RoundRecord

_SHOWN_MAX: Final = 100
_REASONS: Final = {(edge.before, edge.after): edge.reason for edge in EDGES}


def lineage_over(queries: Callable[[AsyncConnection], Queries]) -> Lineage:
    """The lineage of this service."""

    async def lineage(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
        if "\x00" in correlation_id:
            return []
        asked = queries(tx)
        records = await asked.rounds_of(correlation_id)
        found: list[tuple[datetime, LineageEntry]] = []
        for record in records:
            entries: list[LineageEntry] = []
            for part in record.parts:
                shown: tuple[PlayerResult, ...] = ()
                if part.part == 1:
                    place = {"result_version": part.result_version, "part": part.part}
                    shown = await asked.results_of(record.round.id, **place)
                entries.append(_result(part, record, shown))
            entries.extend(_entries(record))
            places = _places(record.transitions)
            found.extend((places.get(entry.at, entry.at), entry) for entry in entries)
        return [entry for _, entry in sorted(found, key=itemgetter(0))]

    return lineage


def _places(steps: Sequence[Transition]) -> dict[datetime, datetime]:
    """The place in the order of time of everything that was recorded at the time of one of these steps. They are the steps of
    one round in the order of ``seq``. An old step may have a time before that of the step before it: it takes the same place.
    """
    places: dict[datetime, datetime] = {}
    newest: datetime | None = None
    for step in steps:
        newest = step.at if newest is None else max(newest, step.at)
        places[step.at] = newest
    return places


def _entries(record: RoundRecord) -> Iterator[LineageEntry]:
    for step in record.transitions:
        yield _step(step)
    for settlement in record.settlements:
        yield _settlement(settlement, record)
    for refusal in record.refusals:
        yield _refusal(refusal)
    if record.disownment is not None:
        yield _disownment(record.disownment)


def _result(part: ResultPart, record: RoundRecord, shown: tuple[PlayerResult, ...]) -> LineageEntry:
    """``shown`` are its players as far as they are read: the first part's."""
    found = record.round
    decided_by = _decider(part, record)
    corrected = part.reason is not None if decided_by is None else part.result_version > 1
    return LineageEntry(
        at=part.received_at,
        service="settlement",
        kind="match.result",
        id=part.event_id,
        summary=f"{'corrected result' if corrected else 'result'} of match {found.match_id} "
        f"{_origin(part, record, decided_by=decided_by)}: {counted(part.players, 'player')}"
        + (f", part {part.part} of {part.parts}" if part.parts > 1 else ""),
        detail={
            "match_id": found.match_id,
            "source": found.source,
            "reporter": part.reporter,
            "decided_by": decided_by,
            "competition": found.competition,
            "result_version": part.result_version,
            "part": part.part,
            "parts": part.parts,
            "reason": part.reason,
            "results": [_player(result) for result in shown[:_SHOWN_MAX]],
        },
    )


def _decider(part: ResultPart, record: RoundRecord) -> str | None:
    """The admin who decided the result, None where no step of the round says that one did."""
    for step in record.transitions:
        if step.cause.kind == RESOLVE and step.cause.id == part.event_id:
            return step.cause.actor
    return None


def _origin(part: ResultPart, record: RoundRecord, *, decided_by: str | None) -> str:
    """The origin of the result. For a result without a transition only the person who answers for it is stored."""
    if decided_by is not None:
        return f"decided by {decided_by}"
    if part.reporter is None:
        return f"from {record.round.source}"
    moved = any(step.cause.id == part.event_id for step in record.transitions)
    answered = f"for which {part.reporter} answers"
    return f"from {record.round.source}, {answered}" if moved else answered


def _player(result: PlayerResult) -> dict[str, Any]:
    scores = {name: score_to_text(score) for name, score in result.scores.items()}
    return {"player": result.player, "place": result.place, "scores": scores}


def _step(step: Transition) -> LineageEntry:
    decided = f" by {step.cause.actor}" if step.cause.kind == RESOLVE else ""
    return LineageEntry(
        at=step.at,
        service="settlement",
        kind=f"round.{step.after.lower()}",
        id=str(step.round_id),
        summary=f"{step.before} → {step.after}{decided}: {step.cause.reason or _REASONS[step.before, step.after]}",
        detail=transition_answer(step).model_dump(mode="json"),
    )


def _refusal(refusal: Refusal) -> LineageEntry:
    return LineageEntry(
        at=refusal.at,
        service="settlement",
        kind="round.refused",
        id=f"{refusal.round_id}/{refusal.version}",
        summary=f"rewards can never book settlement {refusal.version}, {refusal.code}: {refusal.detail}",
        detail={**refusal_answer(refusal).model_dump(mode="json"), "event_id": refusal.event_id},
    )


def _disownment(disownment: Disownment) -> LineageEntry:
    return LineageEntry(
        at=disownment.at,
        service="settlement",
        kind="round.disowned",
        id=str(disownment.round_id),
        summary=f"two admins disowned the round in rewards by disownment {disownment.id}: {disownment.reason}",
        detail={**disowned_answer(disownment).model_dump(mode="json"), "event_id": disownment.event_id},
    )


def _kind(settlement: Settlement) -> str:
    if settlement.version == 1:
        return ""
    return " (resettled)" if settlement.resettled else " (corrected)"


def _settlement(settlement: Settlement, record: RoundRecord) -> LineageEntry:
    rule = settlement.rule
    total = record.lines_total[settlement.version]
    paid = money(rule, settlement.fees.net - settlement.unclaimed)
    return LineageEntry(
        at=settlement.settled_at,
        service="settlement",
        kind="settlement",
        id=f"{settlement.round_id}/{settlement.version}",
        summary=f"settlement {settlement.version}{_kind(settlement)}: {counted(total, 'prize')}, {paid} {rule.asset.code} in all, under rule {rule.version} of {rule.competition}",
        detail={
            **settlement_answer(settlement, lines_total=total).model_dump(mode="json"),
            "rule": rule_parts(rule).model_dump(mode="json", exclude={"sources"}),
            "lines": [line_answer(line, rule=rule).model_dump() for line in settlement.lines[:_SHOWN_MAX]],
        },
    )
