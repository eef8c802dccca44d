"""The published events of a payout, made of its domain events."""

from typing import TypedDict
from uuid import UUID

from pydantic import BaseModel

from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.events import payouts as contract
from prizewire_contracts.events.signing import CloseRequested, CloseRequestedEvent
from prizewire_payouts.payouts.domain import states as domain
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Payout, PendingEvent
from prizewire_payouts.payouts.domain.states import PayoutState

_ENDED: dict[PayoutState, type[Envelope]] = {
    PayoutState.FAILED: contract.PayoutFailedEvent,
    PayoutState.REJECTED: contract.PayoutRejectedEvent,
    PayoutState.CANCELLED: contract.PayoutCancelledEvent,
}


def payout_events(change: Change, *, outbox: Outbox) -> list[EncodedEvent]:
    """The events of one change, in their order. Requests to the signer have versions of their own, since the signer
    consumes no other event of payouts.
    """
    payout = change.payout
    events = []
    for pending in change.events:
        model, data = _contract(payout, pending)
        events.append(
            outbox.event(
                model,
                data,
                subject=str(payout.payout_id),
                version=pending.version,
                correlation_id=payout.correlation_id,
                causation_id=pending.cause,
            )
        )
    return events


class _Key(TypedDict):
    """What every event names: the payout, and the prize that it pays."""

    payout_id: UUID
    campaign: str | None
    competition: str | None
    source: str | None


def _contract(payout: Payout, pending: PendingEvent) -> tuple[type[Envelope], BaseModel]:
    event = pending.event
    key: _Key = {
        "payout_id": payout.payout_id,
        "campaign": payout.campaign,
        "competition": payout.competition,
        "source": payout.source,
    }
    match event:
        case domain.Approved():
            return contract.PayoutApprovedEvent, contract.PayoutApproved(
                **key, policy_version=event.policy_version, approvers=list(event.approvers)
            )
        case domain.Held():
            return contract.PayoutHeldEvent, contract.PayoutHeld(**key, reason=event.reason)
        case domain.Submitted():
            return contract.PayoutSubmittedEvent, contract.PayoutSubmitted(
                **key, attempt_no=event.attempt_no, rail=event.rail, provider_key=event.provider_key
            )
        case domain.Pending():
            return contract.PayoutPendingEvent, contract.PayoutPending(
                **key,
                attempt_no=event.attempt_no,
                rail=event.rail,
                provider_ref=event.provider_ref,
                tx_hash=event.tx_hash,
            )
        case domain.Unknown():
            return contract.PayoutUnknownEvent, contract.PayoutUnknown(
                **key, attempt_no=event.attempt_no, rail=event.rail, code=event.code
            )
        case domain.Paid():
            return contract.PayoutPaidEvent, _paid(event, key)
        case domain.Ended():
            closure = None if event.closure is None else contract.Closure(event=event.closure)
            return _ENDED[event.state], contract.PayoutClosed(
                **key,
                code=event.code,
                reason=event.reason,
                attempts=event.attempts,
                closure=closure,
            )
        case domain.Returned():
            return contract.PayoutReturnedEvent, contract.PayoutReturned(
                **key,
                return_ref=event.return_ref,
                asset=event.amount.asset.code,
                amount=event.amount.to_wire(),
                fee=event.fee.to_wire(),
            )
        case domain.RetryRequested():
            return contract.PayoutRetryRequestedEvent, contract.PayoutRetryRequested(
                **key,
                retry_no=event.retry_no,
                player=payout.player,
                by=event.by,
                reason=event.reason,
                method_id=event.method_id,
            )
        case domain.CloseRequested():
            return CloseRequestedEvent, CloseRequested(payout_id=payout.payout_id)


def _paid(event: domain.Paid, key: _Key) -> contract.PayoutPaid:
    return contract.PayoutPaid(
        **key,
        attempt_no=event.attempt_no,
        rail=event.rail,
        rail_type=event.rail_type,
        player=event.player,
        asset=event.amount.asset.code,
        amount=event.amount.to_wire(),
        fee=event.fee.to_wire(),
        fee_asset=event.fee.asset.code,
        fee_borne_by="recipient" if event.fee_borne_by == "recipient" else "platform",
        proof=contract.PayoutProof.model_validate(event.proof),
        paid_at=event.paid_at,
    )
