"""Events of entries and top-ups as commands, and what the ends of rounds mean to entries."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from prizewire_chassis.inbox import Incoming
from prizewire_contracts.events import payouts as payout_events
from prizewire_contracts.events import settlements as settlement_events
from prizewire_money import AssetRegistry
from prizewire_rewards.domain.commands import (
    CloseEntry,
    CreditTopup,
    EnterRound,
    EntryCommand,
    OpenEntry,
    ReverseTopup,
    TopupCommand,
    WinDispute,
)
from prizewire_rewards.domain.entries import EntryEnd, EntryRound
from prizewire_rewards.domain.errors import Refused
from prizewire_rewards.domain.topups import ReversalKind
from prizewire_rewards.entrypoints.reading import asset_of, minor_of, same_subject

ENTRY_TYPES: Final = frozenset(
    {"prizewire.round.opened.v1", "prizewire.round.closed.v1", "prizewire.round.entered.v1"}
)
TOPUP_TYPES: Final = frozenset(
    {
        "prizewire.topup.completed.v1",
        "prizewire.topup.refunded.v1",
        "prizewire.topup.disputed.v1",
        "prizewire.topup.dispute_won.v1",
    }
)
_REVERSALS: Final = {
    payout_events.TopupRefundedEvent: ReversalKind.REFUND,
    payout_events.TopupDisputedEvent: ReversalKind.DISPUTE,
}


def entry_command(item: Incoming, *, late: bool, assets: AssetRegistry) -> EntryCommand | None:
    """What an event of the settlements topic asks of entries; None where it is not about them. ``late``: its round ended
    earlier in the same batch.

    Raises:
        Refused: its subject, asset or amount cannot be read.
    """
    event = item.event
    if isinstance(event, settlement_events.RoundClosedEvent):
        same_subject(event.subject, event.data.round_id)
        return CloseEntry(round_id=event.data.round_id)
    if isinstance(event, settlement_events.RoundOpenedEvent):
        same_subject(event.subject, event.data.round_id)
        return OpenEntry(
            round=_round(event.data, event.data.entry_fee, correlation=event.correlationid, assets=assets)
        )
    if isinstance(event, settlement_events.RoundEnteredEvent):
        data = event.data
        same_subject(event.subject, data.round_id)
        # A wrong entry concerns one player; the round's own events must not wait for it.
        try:
            round_ = _round(data, data.fee, correlation=event.correlationid, assets=assets)
        except Refused as problem:
            raise Refused(problem.code, problem.detail, park=False) from None
        return EnterRound(
            entry_id=data.entry_id,
            round=round_,
            player=data.player,
            asset=round_.asset or "",
            amount=round_.fee or 0,
            cause=event.id,
            late=late,
        )
    return None


def _round(
    data: settlement_events.RoundProgress | settlement_events.RoundEntered,
    fee: settlement_events.EntryFee | None,
    *,
    correlation: str,
    assets: AssetRegistry,
) -> EntryRound:
    asset = None if fee is None else asset_of(fee.asset, assets)
    amount = None if fee is None or asset is None else minor_of(asset, fee.amount)
    free = not amount
    return EntryRound(
        round_id=data.round_id,
        match_id=data.match_id,
        match_source=data.match_source,
        competition=data.competition,
        correlation_id=correlation,
        asset=None if free or asset is None else asset.code,
        fee=None if free else amount,
    )


def entry_ends(incoming: Sequence[Incoming]) -> Mapping[int, tuple[UUID, EntryEnd]]:
    """Rounds that end for their entries, by the index of the event that ends them: the last part of a final settlement,
    finality, or a void.
    """
    found: dict[int, tuple[UUID, EntryEnd]] = {}
    for index, item in enumerate(incoming):
        event = item.event
        if isinstance(event, settlement_events.RoundSettledEvent):
            if event.data.final and event.data.part == event.data.parts:
                found[index] = (event.data.round_id, EntryEnd.EARNED)
        elif isinstance(event, settlement_events.RoundFinalizedEvent):
            found[index] = (event.data.round_id, EntryEnd.EARNED)
        elif isinstance(event, settlement_events.RoundVoidedEvent):
            found[index] = (event.data.round_id, EntryEnd.REFUNDED)
    return found


def topup_command(item: Incoming, *, assets: AssetRegistry) -> TopupCommand | None:
    """What an event of the payouts topic says of a top-up; None where it is about something else.

    Raises:
        Refused: its subject, asset or amount cannot be read.
    """
    event = item.event
    if isinstance(event, payout_events.TopupCompletedEvent):
        data = event.data
        same_subject(event.subject, data.topup_id)
        asset = asset_of(data.asset, assets)
        return CreditTopup(
            topup_id=data.topup_id,
            player=data.player,
            asset=asset.code,
            amount=minor_of(asset, data.amount),
            rail=data.rail,
            reference=data.reference,
            correlation_id=event.correlationid,
            cause=event.id,
        )
    if not isinstance(event.data, payout_events.TopupReversal):
        return None
    reversal = event.data
    same_subject(event.subject, reversal.topup_id)
    asset = asset_of(reversal.asset, assets)
    amount = minor_of(asset, reversal.amount)
    kind = _REVERSALS.get(type(event))
    if kind is None:
        return WinDispute(
            topup_id=reversal.topup_id,
            player=reversal.player,
            asset=asset.code,
            amount=amount,
            rail=reversal.rail,
            reference=reversal.reversal_ref,
            cause=event.id,
        )
    return ReverseTopup(
        topup_id=reversal.topup_id,
        player=reversal.player,
        asset=asset.code,
        amount=amount,
        rail=reversal.rail,
        reference=reversal.reversal_ref,
        kind=kind,
        cause=event.id,
    )
