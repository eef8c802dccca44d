"""``prizewire.matches.v1``: events of game servers as commands to settlement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, never
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.events.matches import (
    MatchClosedEvent,
    MatchCompletedEvent,
    MatchOpenedEvent,
)
from prizewire_contracts.ids import match_correlation_id
from prizewire_contracts.topics import MATCHES
from prizewire_contracts.trust import NotTrusted, verify_raw
from prizewire_settlement.domain.commands import Completed, MatchReport, Progress, Unsupported
from prizewire_settlement.domain.errors import Reason, ReportRefused
from prizewire_settlement.domain.model import Competition, PlayerResult
from prizewire_settlement.domain.results import score_from_text
from prizewire_settlement.handlers.matches import Applied, admit_reports, apply_reports
from prizewire_settlement.metrics import LINES, REFUSED, ROUNDS_SETTLED
from prizewire_settlement.ports import EventSink, RoundStore

__all__ = ["CONSUMER", "RawProof", "matches_spec", "report_of"]

CONSUMER: Final = "settlement.matches"
"""The consumer's name, which is also its Kafka group."""


@dataclass(frozen=True, slots=True)
class RawProof:
    """The signature of a game server's event, over the envelope as it came."""

    raw: Mapping[str, Any]

    def refused(self, *, public_key: str) -> tuple[Reason, str] | None:
        """See ``domain.commands.Proof``."""
        try:
            verify_raw(topic=MATCHES.name, raw=self.raw, public_key=public_key)
        except NotTrusted as error:
            return Reason(error.code), error.detail
        return None


def claim_of(incoming: Incoming) -> MatchReport:
    """Who says something of which match, and how it is signed: what admission looks at."""
    return MatchReport(**_claim(incoming))


def _claim(incoming: Incoming) -> dict[str, Any]:
    event = incoming.event
    return {
        "event_id": event.id,
        "kind": event.type,
        "source": event.source,
        "subject": event.subject,
        "match_id": event.data.match_id,
        "competition": event.data.competition,
        "correlation_id": event.correlationid,
        "keyid": event.keyid,
        "at": event.time,
        "proof": RawProof(incoming.raw),
    }


def report_of(incoming: Incoming) -> MatchReport:
    """An event of the topic as a command."""
    event = incoming.event
    common = _claim(incoming)
    if isinstance(event, MatchCompletedEvent):
        data = event.data
        return Completed(
            **common,
            result_version=data.result_version,
            part=data.part,
            parts=data.parts,
            results=tuple(
                PlayerResult(
                    result.player,
                    result.place,
                    {name: score_from_text(text) for name, text in result.scores.items()},
                )
                for result in data.results
            ),
        )
    if isinstance(event, MatchOpenedEvent | MatchClosedEvent):
        return Progress(**common, closed=isinstance(event, MatchClosedEvent))
    return Unsupported(**common)


def matches_spec(
    *,
    store: Callable[[AsyncConnection], RoundStore],
    events: Callable[[AsyncConnection], EventSink],
    clock: Clock,
    lines_per_part: int,
) -> ConsumerSpec:
    """The consumer of match events. Game servers need not count their events, so versions are not looked at."""
    admitted: WeakKeyDictionary[AsyncConnection, dict[str, Competition]] = WeakKeyDictionary()

    async def admit(tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
        found = await admit_reports([claim_of(incoming) for incoming in batch], store=store(tx))
        # the handler that follows in this transaction decides on what admission saw
        admitted[tx] = found.competitions
        return _refusals(tx, found.refused)

    async def handle(tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
        applied = await apply_reports(
            [report_of(incoming) for incoming in batch],
            competitions=admitted[tx],
            store=store(tx),
            events=events(tx),
            now=clock.now(),
            lines_per_part=lines_per_part,
        )
        after_commit(tx, partial(_count, applied))
        return _refusals(tx, applied.refused)

    return ConsumerSpec(
        name=CONSUMER,
        topic=MATCHES,
        handler=handle,
        version_rule=never,
        admit=admit,
        correlation_of=lambda source, subject: str(match_correlation_id(source=source, match_id=subject)),
    )


def _count(applied: Applied) -> None:
    ROUNDS_SETTLED.inc(applied.rounds_settled)
    LINES.inc(applied.lines)


def _refusals(tx: AsyncConnection, refused: Mapping[int, ReportRefused]) -> dict[int, Refusal]:
    for problem in refused.values():
        after_commit(tx, REFUSED.labels(problem.reason).inc)
    return {
        index: Refusal(RefusalCode(problem.reason), problem.detail, park=problem.park)
        for index, problem in refused.items()
    }
