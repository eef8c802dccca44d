"""Events of ``prizewire.matches.v1`` as commands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prizewire_chassis.inbox import Incoming
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
from prizewire_contracts.topics import MATCHES
from prizewire_contracts.trust import NotTrusted, verify_raw
from prizewire_settlement.competitions.domain.rules import score_from_text
from prizewire_settlement.errors import Reason
from prizewire_settlement.prizes.domain import PlayerResult
from prizewire_settlement.rounds.domain.commands import (
    Completed,
    Corrected,
    Entered,
    MatchReport,
    Progress,
    Voided,
)

CORRECTED: Final[str] = MatchCorrectedEvent.model_fields["type"].default


@dataclass(frozen=True, slots=True)
class RawProof:
    """The signature of a game server's event, over the received envelope."""

    raw: Mapping[str, Any]

    def refused(self, *, public_key: str) -> tuple[Reason, str] | None:
        """See ``domain.commands.Proof``."""
        try:
            verify_raw(topic=MATCHES.name, raw=self.raw, public_key=public_key)
        except NotTrusted as error:
            return Reason(error.code), error.detail
        return None


def claim_of(incoming: Incoming) -> MatchReport:
    """The source, the match and the signature of a report: what admission needs."""
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
