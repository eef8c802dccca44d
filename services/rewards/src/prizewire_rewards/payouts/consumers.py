"""Translates events of the payouts service to commands."""

from typing import Any

from prizewire_chassis.inbox import Incoming
from prizewire_contracts.events import payouts as payout_events
from prizewire_money import AssetRegistry
from prizewire_rewards.ledger.consumers import amount_of, same_subject
from prizewire_rewards.payouts.domain.commands import (
    ClosePayout,
    MarkPaid,
    MarkReturned,
    RecordMethod,
    RenewIntent,
    RetryPayout,
)
from prizewire_rewards.payouts.domain.model import Method, PayoutState
from prizewire_rewards.payouts.handlers.outcomes import PayoutEvent

_METHOD_TYPES = frozenset(
    {
        "prizewire.method.registered.v1",
        "prizewire.method.verified.v1",
        "prizewire.method.defaulted.v1",
        "prizewire.method.removed.v1",
        "prizewire.method.routed.v1",
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
        "prizewire.payout.retry_requested.v1",
    }
)


_INTENT_EXPIRED = "intent_expired"
"""The reason in ``payout.held`` that requests a renewal; all others concern approvers."""


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
    if isinstance(data, payout_events.PayoutRetryRequested):
        return RetryPayout(
            payout_id=data.payout_id,
            retry_no=data.retry_no,
            by=data.by,
            method_id=data.method_id,
            cause=event.id,
        )
    if isinstance(data, payout_events.PayoutPaid):
        return _paid(data, cause=event.id, assets=assets)
    if isinstance(data, payout_events.PayoutReturned):
        return MarkReturned(
            payout_id=data.payout_id,
            asset=data.asset,
            amount=amount_of(assets, data.asset, data.amount).minor,
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
        fee = amount_of(assets, data.fee_asset, data.fee).minor
    return MarkPaid(
        payout_id=data.payout_id,
        player=data.player,
        asset=data.asset,
        amount=amount_of(assets, data.asset, data.amount).minor,
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
        rail_types=tuple(data.rail_types),
        active=data.state == "active",
        verified=data.verified,
        is_default=data.is_default,
        address=data.address,
        memo=data.memo,
        commitment=data.commitment,
    )
