"""Match events, and what rewards reports."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, VersionRule, never
from prizewire_chassis.logging import get_logger
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
from prizewire_contracts.events.rewards import CampaignChanged, RoundDisowned, RoundRefused
from prizewire_contracts.ids import match_correlation_id
from prizewire_contracts.topics import MATCHES, REWARDS
from prizewire_contracts.trust import NotTrusted, verify_raw
from prizewire_settlement.competitions.domain.model import Campaign, CampaignState, Competition
from prizewire_settlement.competitions.handlers import keep_campaigns
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.metrics import (
    LINES,
    REFUSED,
    RESOLUTION_SECONDS,
    ROUNDS_CORRECTED,
    ROUNDS_SETTLED,
    ROUNDS_VOIDED,
)
from prizewire_settlement.rounds.domain import model
from prizewire_settlement.rounds.domain.model import (
    Completed,
    Corrected,
    Entered,
    MatchReport,
    Progress,
    Round,
    Voided,
)
from prizewire_settlement.rounds.handlers.matches import Applied, admit_reports, apply_reports
from prizewire_settlement.rounds.handlers.refusals import record_disownments, record_refusals
from prizewire_settlement.rounds.messages import players_of
from prizewire_settlement.rounds.ports import UnitOfWork

CONSUMER: Final = "settlement.matches"
"""The consumer's name, which is also its Kafka group."""


_CORRECTED: Final[str] = MatchCorrectedEvent.model_fields["type"].default


def _overtakes(head: str, event_type: str) -> bool:
    """Behind a correction that waits for its result, only further corrections of its match wait."""
    return head == Reason.RESULT_MISSING and event_type != _CORRECTED


def matches_spec(
    *,
    unit_of_work: Callable[[AsyncConnection], UnitOfWork],
    ready: Callable[[AsyncConnection], Awaitable[Sequence[int]]],
    clock: Clock,
    lines_per_part: int,
) -> ConsumerSpec:
    """The consumer of match events. Game servers need not number their events, so versions are not read. ``ready``
    says which parked corrections have their result.
    """
    admitted: WeakKeyDictionary[AsyncConnection, dict[str, Competition]] = WeakKeyDictionary()

    async def admit(tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
        found = await admit_reports(
            [_claim_of(incoming) for incoming in batch], unit_of_work=unit_of_work(tx)
        )
        # the handler that follows in this transaction decides on what admission saw
        admitted[tx] = found.competitions
        return _refusals(tx, found.refused)

    async def handle(tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
        applied = await apply_reports(
            [_report_of(incoming) for incoming in batch],
            competitions=admitted[tx],
            unit_of_work=unit_of_work(tx),
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


@dataclass(frozen=True, slots=True)
class _RawProof:
    """The signature of a game server's event, over the received envelope."""

    raw: Mapping[str, Any]

    def refused(self, *, public_key: str) -> tuple[Reason, str] | None:
        """See ``domain.model.Proof``."""
        try:
            verify_raw(topic=MATCHES.name, raw=self.raw, public_key=public_key)
        except NotTrusted as error:
            return Reason(error.code), error.detail
        return None


def _claim_of(incoming: Incoming) -> MatchReport:
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
        "proof": _RawProof(incoming.raw),
        "waited": incoming.replay_of == "parked",
        "reporter": incoming.answers_for,
    }


def _report_of(incoming: Incoming) -> MatchReport:
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


def _count(applied: Applied) -> None:
    ROUNDS_SETTLED.inc(applied.rounds_settled)
    ROUNDS_CORRECTED.inc(applied.rounds_corrected)
    ROUNDS_VOIDED.inc(applied.rounds_voided)
    LINES.inc(applied.lines)
    for seconds in applied.resolution_s:
        RESOLUTION_SECONDS.observe(seconds)


def _refusals(tx: AsyncConnection, refused: Mapping[int, ReportRefused]) -> dict[int, Refusal]:
    for problem in refused.values():
        after_commit(tx, REFUSED.labels(problem.reason).inc)
    return {
        index: Refusal(RefusalCode(problem.reason), problem.detail, park=problem.park)
        for index, problem in refused.items()
    }


REWARDS_CONSUMER: Final = "settlement.rewards"
"""The consumer's name, which is also its Kafka group."""


_TYPES: Final = frozenset(
    {
        "prizewire.campaign.created.v1",
        "prizewire.campaign.state_changed.v1",
        "prizewire.round.refused.v1",
        "prizewire.round.disowned.v1",
    }
)


_log = get_logger(__name__)


def rewards_spec(
    *,
    unit_of_work: Callable[[AsyncConnection], UnitOfWork],
    clock: Clock,
) -> ConsumerSpec:
    """The consumer of rewards' events. Each carries the whole state of its subject, so the highest version wins. For
    all other types no version is kept.
    """

    async def handle(tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
        mismatches = {index: said for index, item in enumerate(batch) if (said := _mismatch(item))}
        sound = [(index, item) for index, item in enumerate(batch) if index not in mismatches]
        known = [_campaign(item) for _, item in sound if isinstance(item.event.data, CampaignChanged)]
        await keep_campaigns(known, store=unit_of_work(tx))
        refused = [(index, item) for index, item in sound if isinstance(item.event.data, RoundRefused)]
        answer = {
            index: Refusal(RefusalCode.EVENT_MISMATCH, said, park=False) for index, said in mismatches.items()
        }
        now = clock.now()
        disowned = [
            _disownment(item, now=now) for _, item in sound if isinstance(item.event.data, RoundDisowned)
        ]
        if disowned:
            after_commit(
                tx,
                partial(_log_disownments, await record_disownments(disowned, unit_of_work=unit_of_work(tx))),
            )
        if refused:
            taken = await record_refusals(
                [_refusal(item, now=now) for _, item in refused], unit_of_work=unit_of_work(tx)
            )
            after_commit(tx, partial(_log_refusals, taken.refused))
            for place, said in taken.mismatches.items():
                answer[refused[place][0]] = Refusal(RefusalCode.EVENT_MISMATCH, said, park=True)
        return answer

    return ConsumerSpec(
        name=REWARDS_CONSUMER, topic=REWARDS, handler=handle, version_rule=_version_rule, types=_TYPES
    )


def _version_rule(event_type: str) -> VersionRule:
    return VersionRule.HIGHEST if event_type in _TYPES else VersionRule.NONE


def _mismatch(item: Incoming) -> str | None:
    """Versions are counted by subject, so the data of an event must be about its subject."""
    data = item.event.data
    if isinstance(data, CampaignChanged):
        about = data.campaign
    else:
        about = data.disownment_id if isinstance(data, RoundDisowned) else data.round_id
    return None if item.event.subject == str(about) else f"the subject {item.event.subject} is not {about}"


def _campaign(item: Incoming) -> Campaign:
    data = item.event.data
    return Campaign(
        id=data.campaign,
        asset=data.asset,
        state=CampaignState(data.state),
        version=item.event.aggregateversion or 0,
    )


def _refusal(item: Incoming, *, now: datetime) -> model.Refusal:
    data = item.event.data
    return model.Refusal(
        round_id=data.round_id,
        version=data.settlement_version,
        part=data.part,
        code=data.code,
        detail=data.detail,
        event_id=item.event.id,
        at=now,
    )


def _disownment(item: Incoming, *, now: datetime) -> model.Disownment:
    data = item.event.data
    return model.Disownment(
        round_id=data.round_id, id=data.disownment_id, reason=data.reason, event_id=item.event.id, at=now
    )


def _log_disownments(taken: Sequence[tuple[Round | None, model.Disownment]]) -> None:
    for found, disownment in taken:
        about = {"round_id": str(disownment.round_id), "disownment_id": str(disownment.id)}
        if found is None:
            _log.info("rewards disowned a round that settlement does not have", **about)
            continue
        log = _log.info if found.refused_at is None else _log.error
        log(
            "rewards disowned a round",
            **about,
            match_id=found.match_id,
            correlation_id=found.correlation_id,
            state=found.state,
            reason=disownment.reason,
        )


def _log_refusals(refused: Sequence[tuple[Round, model.Refusal]]) -> None:
    for found, refusal in refused:
        _log.error(
            "rewards can never book a settlement",
            round_id=str(found.id),
            match_id=found.match_id,
            correlation_id=found.correlation_id,
            settlement_version=refusal.version,
            code=refusal.code,
            detail=refusal.detail,
        )
