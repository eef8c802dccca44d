"""Kafka batches: events into commands, commands to a handler, refusals back to the inbox."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, VersionRule
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.events import payouts as payout_events
from prizewire_contracts.events import settlements as settlement_events
from prizewire_contracts.topics import PAYOUTS, SETTLEMENTS
from prizewire_money import AssetRegistry
from prizewire_rewards import metrics
from prizewire_rewards.domain.commands import (
    ClosePayout,
    CorrectRound,
    FinalizeRound,
    MarkPaid,
    MarkReturned,
    RecordMethod,
    RenewIntent,
    SettleRound,
    VoidRound,
)
from prizewire_rewards.domain.errors import Refused
from prizewire_rewards.domain.model import Line, Method, Settlement
from prizewire_rewards.domain.parties import sorted_parties
from prizewire_rewards.domain.states import PayoutState
from prizewire_rewards.entrypoints.counts import count_booked
from prizewire_rewards.entrypoints.intake import (
    read_commands,
    read_entries,
    read_topups,
    take_entries,
    take_topups,
)
from prizewire_rewards.entrypoints.money_events import ENTRY_TYPES, TOPUP_TYPES
from prizewire_rewards.entrypoints.reading import asset_of, minor_of, same_subject
from prizewire_rewards.entrypoints.works import Works
from prizewire_rewards.handlers.payouts import PayoutEvent, apply_payout_events
from prizewire_rewards.handlers.settlements import RoundCommand, apply_settlements
from prizewire_rewards.ports import Tools

_SETTLEMENT_TYPES = frozenset(
    {
        "prizewire.round.settled.v1",
        "prizewire.round.finalized.v1",
        "prizewire.round.voided.v1",
        "prizewire.round.corrected.v1",
    }
)
_METHOD_TYPES = frozenset(
    {
        "prizewire.method.registered.v1",
        "prizewire.method.verified.v1",
        "prizewire.method.defaulted.v1",
        "prizewire.method.removed.v1",
    }
)
_PAYOUT_TYPES = frozenset(
    {
        "prizewire.payout.paid.v1",
        "prizewire.payout.failed.v1",
        "prizewire.payout.rejected.v1",
        "prizewire.payout.cancelled.v1",
        "prizewire.payout.returned.v1",
        "prizewire.payout.held.v1",
    }
)
_INTENT_EXPIRED = "intent_expired"
"""The reason on ``payout.held`` that asks for a renewal; others are for approvers."""


def build_specs(
    *, works: Works, tools: Tools, clock: Clock, work_on: Callable[[], None]
) -> list[ConsumerSpec]:
    """The two consumers: settlements, and payouts with payout methods. ``work_on`` wakes the job that works on large
    rounds.
    """

    async def settlements(tx: AsyncConnection, incoming: Sequence[Incoming]) -> Mapping[int, Refusal]:
        refused: dict[int, Refused] = {}
        work, now = works.of(tx), clock.now()
        entries = await read_entries(incoming, refused=refused, work=work, assets=tools.assets)
        found: tuple[list[RoundCommand], list[int]] = read_commands(
            incoming,
            _SETTLEMENT_TYPES,
            lambda _, item: _settlement_command(item, assets=tools.assets),
            refused,
        )
        commands, places = found
        unbooked: set[int] = set()
        if commands:
            done = await apply_settlements(commands, work=work, tools=tools, now=now)
            refused.update({places[index]: problem for index, problem in done.refusals.items()})
            unbooked = {places[index] for index in done.unbooked}
            after_commit(tx, partial(count_booked, done.booked))
            if done.refused:
                after_commit(tx, partial(_count_refused, done.refused))
            if done.booked.work:
                after_commit(tx, work_on)
            if done.held:
                after_commit(tx, partial(_count_held, done.held))
        await take_entries(tx, entries, refused=refused, unbooked=unbooked, work=work, tools=tools, now=now)
        return _refusals(tx, refused)

    async def payouts(tx: AsyncConnection, incoming: Sequence[Incoming]) -> Mapping[int, Refusal]:
        refused: dict[int, Refused] = {}
        work, now = works.of(tx), clock.now()
        topups = await read_topups(incoming, refused=refused, work=work, assets=tools.assets)
        found: tuple[list[PayoutEvent], list[int]] = read_commands(
            incoming,
            _METHOD_TYPES | _PAYOUT_TYPES,
            lambda _, item: _payout_command(item, assets=tools.assets),
            refused,
        )
        commands, places = found
        if commands:
            done = await apply_payout_events(commands, work=work, tools=tools, now=now)
            refused.update({places[index]: problem for index, problem in done.refusals.items()})
            after_commit(tx, partial(_count_ended, done.reached))
        await take_topups(tx, topups, refused=refused, work=work, tools=tools, now=now)
        return _refusals(tx, refused)

    return [
        ConsumerSpec(
            name="rewards.settlements",
            topic=SETTLEMENTS,
            handler=settlements,
            version_rule=lambda _: VersionRule.STRICT,
            types=_SETTLEMENT_TYPES | ENTRY_TYPES,
        ),
        ConsumerSpec(
            name="rewards.payouts",
            topic=PAYOUTS,
            handler=payouts,
            version_rule=_payout_rule,
            types=_METHOD_TYPES | _PAYOUT_TYPES | TOPUP_TYPES,
        ),
    ]


def _payout_rule(event_type: str) -> VersionRule:
    return VersionRule.HIGHEST if event_type in _METHOD_TYPES else VersionRule.STRICT


def _count_held(held: Mapping[str, int]) -> None:
    for cap, count in held.items():
        metrics.LINES_HELD.labels(cap).inc(count)


def _count_refused(refused: Mapping[str, int]) -> None:
    for code, count in refused.items():
        metrics.ROUNDS_REFUSED.labels(code).inc(count)


def _count_ended(reached: Mapping[PayoutState, int]) -> None:
    for state, count in reached.items():
        metrics.PAYOUTS_ENDED.labels(state).inc(count)


def _refusals(tx: AsyncConnection, refused: Mapping[int, Refused]) -> dict[int, Refusal]:
    for problem in refused.values():
        after_commit(tx, metrics.MISMATCHES.labels(problem.code).inc)
    return {
        index: Refusal(RefusalCode(problem.code), problem.detail, park=problem.park)
        for index, problem in refused.items()
    }


def _settlement_command(item: Incoming, *, assets: AssetRegistry) -> RoundCommand:
    event = item.event
    if isinstance(event, settlement_events.RoundSettledEvent):
        return SettleRound(**_settled(event, assets=assets))
    if isinstance(event, settlement_events.RoundCorrectedEvent):
        return CorrectRound(**_settled(event, assets=assets), reason=event.data.reason)
    same_subject(event.subject, event.data.round_id)
    if isinstance(event, settlement_events.RoundVoidedEvent):
        return VoidRound(round_id=event.data.round_id, cause=event.id)
    return FinalizeRound(
        round_id=event.data.round_id, settlement_version=event.data.settlement_version, cause=event.id
    )


def _settled(
    event: settlement_events.RoundSettledEvent | settlement_events.RoundCorrectedEvent,
    *,
    assets: AssetRegistry,
) -> dict[str, Any]:
    data = event.data
    same_subject(event.subject, data.round_id)
    asset = asset_of(data.asset, assets)
    part = data.part
    lines = tuple(
        Line(line.line, line.player, line.place, minor_of(asset, line.amount), part) for line in data.lines
    )
    settlement = Settlement(
        round_id=data.round_id,
        match_id=data.match_id,
        match_source=data.match_source,
        competition=data.competition,
        correlation_id=event.correlationid,
        settlement_version=data.settlement_version,
        rule_version=data.rule_version,
        campaign=data.campaign,
        asset=asset.code,
        gross=minor_of(asset, data.gross),
        platform_fee=minor_of(asset, data.fees.platform),
        organizer_fee=minor_of(asset, data.fees.organizer),
        organizer_player=data.fees.organizer_player,
        net=minor_of(asset, data.net),
        unclaimed=minor_of(asset, data.unclaimed),
        parts=data.parts,
        lines_total=data.lines_total,
        digest=data.digest,
        final=data.final,
        final_at=data.final_at,
        parties=sorted_parties((party.role.value, party.subject) for party in data.parties),
    )
    return {"settlement": settlement, "part": part, "lines": lines, "cause": event.id}


_CLOSED_STATES: dict[type[Any], PayoutState] = {
    payout_events.PayoutFailedEvent: PayoutState.FAILED,
    payout_events.PayoutRejectedEvent: PayoutState.REJECTED,
    payout_events.PayoutCancelledEvent: PayoutState.CANCELLED,
}


def _payout_command(item: Incoming, *, assets: AssetRegistry) -> PayoutEvent | None:
    event = item.event
    data = event.data
    if isinstance(data, payout_events.MethodChanged):
        same_subject(event.subject, data.method_id)
        return RecordMethod(method=_method(data), cause=event.id)
    same_subject(event.subject, data.payout_id)
    if isinstance(data, payout_events.PayoutHeld):
        if data.reason != _INTENT_EXPIRED:
            return None
        return RenewIntent(payout_id=data.payout_id, cause=event.id)
    if isinstance(data, payout_events.PayoutPaid):
        return _paid(data, cause=event.id, assets=assets)
    if isinstance(data, payout_events.PayoutReturned):
        return MarkReturned(
            payout_id=data.payout_id,
            asset=data.asset,
            amount=minor_of(asset_of(data.asset, assets), data.amount),
            return_ref=data.return_ref,
            cause=event.id,
        )
    return ClosePayout(
        payout_id=data.payout_id,
        to=_CLOSED_STATES[type(event)],
        code=data.code,
        reason=data.reason,
        closure=data.closure.event if data.closure else None,
        cause=event.id,
    )


def _paid(data: payout_events.PayoutPaid, *, cause: str, assets: AssetRegistry) -> MarkPaid:
    fee = 0
    if data.fee_borne_by == "platform" and data.fee.strip("0."):
        fee = minor_of(asset_of(data.fee_asset, assets), data.fee)
    return MarkPaid(
        payout_id=data.payout_id,
        player=data.player,
        asset=data.asset,
        amount=minor_of(asset_of(data.asset, assets), data.amount),
        rail=data.rail,
        rail_type=data.rail_type,
        fee_asset=data.fee_asset,
        fee=fee,
        outcome={
            "rail": data.rail,
            "fee": data.fee,
            "fee_asset": data.fee_asset,
            "fee_borne_by": data.fee_borne_by,
            "paid_at": data.paid_at.isoformat(),
            **data.proof.model_dump(mode="json", exclude_none=True),
        },
        cause=cause,
    )


def _method(data: payout_events.MethodChanged) -> Method:
    return Method(
        id=data.method_id,
        version=data.version,
        player=data.player,
        type=data.type,
        rail_type=data.rail_type,
        active=data.state == "active",
        verified=data.verified,
        is_default=data.is_default,
        address=data.address,
        memo=data.memo,
        commitment=data.commitment,
    )
