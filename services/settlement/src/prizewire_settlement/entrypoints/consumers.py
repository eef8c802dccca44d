"""``prizewire.matches.v1``: events of game servers as commands to settlement."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
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
    MatchCompleted,
    MatchCompletedEvent,
    MatchCorrectedEvent,
    MatchEnteredEvent,
    MatchOpenedEvent,
    MatchVoidedEvent,
)
from prizewire_contracts.events.matches import PlayerResult as Result
from prizewire_contracts.ids import match_correlation_id
from prizewire_contracts.topics import MATCHES
from prizewire_contracts.trust import NotTrusted, verify_raw
from prizewire_settlement.domain.commands import (
    Completed,
    Corrected,
    Entered,
    MatchReport,
    Progress,
    Voided,
)
from prizewire_settlement.domain.errors import Reason, ReportRefused
from prizewire_settlement.domain.model import Competition, PlayerResult
from prizewire_settlement.domain.results import score_from_text
from prizewire_settlement.handlers.matches import Applied, admit_reports, apply_reports
from prizewire_settlement.metrics import LINES, REFUSED, ROUNDS_CORRECTED, ROUNDS_SETTLED, ROUNDS_VOIDED
from prizewire_settlement.ports import EventSink, RoundStore

CONSUMER: Final = "settlement.matches"
"""The consumer's name, which is also its Kafka group."""
_CORRECTED: Final[str] = MatchCorrectedEvent.model_fields["type"].default


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
        "waited": incoming.replay_of == "parked",
        "reporter": incoming.answers_for,
    }


def report_of(incoming: Incoming) -> MatchReport:
    """An event of the topic as a command."""
    event = incoming.event
    common = _claim(incoming)
    if isinstance(event, MatchCompletedEvent):
        return Completed(**common, **_result(event.data))
    if isinstance(event, MatchCorrectedEvent):
        return Corrected(**common, **_result(event.data), reason=event.data.reason)
    if isinstance(event, MatchOpenedEvent | MatchClosedEvent):
        return Progress(**common, closed=isinstance(event, MatchClosedEvent))
    if isinstance(event, MatchEnteredEvent):
        return Entered(**common, player=event.data.player)
    assert isinstance(event, MatchVoidedEvent)
    return Voided(**common, reason=event.data.reason)


def _result(data: MatchCompleted) -> dict[str, Any]:
    return {
        "result_version": data.result_version,
        "part": data.part,
        "parts": data.parts,
        "results": players_of(data.results),
    }


def players_of(results: Iterable[Result]) -> tuple[PlayerResult, ...]:
    """Results as they travel, with their scores in millionths."""
    return tuple(
        PlayerResult(
            result.player,
            result.place,
            {name: score_from_text(text) for name, text in result.scores.items()},
        )
        for result in results
    )


def _overtakes(head: str, event_type: str) -> bool:
    """A correction that waits for its result lets everything of its match through but further corrections."""
    return head == Reason.RESULT_MISSING and event_type != _CORRECTED


def matches_spec(
    *,
    store: Callable[[AsyncConnection], RoundStore],
    events: Callable[[AsyncConnection], EventSink],
    ready: Callable[[AsyncConnection], Awaitable[Sequence[int]]],
    clock: Clock,
    lines_per_part: int,
) -> ConsumerSpec:
    """The consumer of match events. Game servers need not count their events, so versions are not looked at. ``ready``
    says which parked corrections have their result.
    """
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
        overtakes=_overtakes,
        passing=frozenset({Reason.RESULT_MISSING}),
        ready=ready,
    )


def _count(applied: Applied) -> None:
    ROUNDS_SETTLED.inc(applied.rounds_settled)
    ROUNDS_CORRECTED.inc(applied.rounds_corrected)
    ROUNDS_VOIDED.inc(applied.rounds_voided)
    LINES.inc(applied.lines)


def _refusals(tx: AsyncConnection, refused: Mapping[int, ReportRefused]) -> dict[int, Refusal]:
    for problem in refused.values():
        after_commit(tx, REFUSED.labels(problem.reason).inc)
    return {
        index: Refusal(RefusalCode(problem.reason), problem.detail, park=problem.park)
        for index, problem in refused.items()
    }
