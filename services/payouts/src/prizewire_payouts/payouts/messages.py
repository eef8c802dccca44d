"""What happened, as the events that others consume, signed and ready for the outbox."""

from pydantic import BaseModel

from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.events import payouts as contract
from prizewire_contracts.events.signing import CloseRequested, CloseRequestedEvent
from prizewire_payouts.payouts.domain.change import Change, Fact
from prizewire_payouts.payouts.domain.events import (
    Approved,
    CloseAsked,
    Ended,
    Held,
    Paid,
    Pending,
    Returned,
    Submitted,
    Unknown,
)
from prizewire_payouts.payouts.domain.model import Method, Payout
from prizewire_payouts.payouts.domain.states import PayoutState

_ENDED: dict[PayoutState, type[Envelope]] = {
    PayoutState.FAILED: contract.PayoutFailedEvent,
    PayoutState.REJECTED: contract.PayoutRejectedEvent,
    PayoutState.CANCELLED: contract.PayoutCancelledEvent,
}
_METHOD: dict[str, type[Envelope]] = {
    "registered": contract.MethodRegisteredEvent,
    "verified": contract.MethodVerifiedEvent,
    "defaulted": contract.MethodDefaultedEvent,
    "removed": contract.MethodRemovedEvent,
}


def payout_events(change: Change, *, outbox: Outbox) -> list[EncodedEvent]:
    """The events of one change, in their order. Those to the signer have a count of their own, since the signer
    reads no other.
    """
    payout = change.payout
    events = []
    for fact in change.facts:
        model, data = _contract(payout, fact)
        events.append(
            outbox.event(
                model,
                data,
                subject=str(payout.payout_id),
                version=fact.version,
                correlation_id=payout.correlation_id,
                causation_id=fact.cause,
            )
        )
    return events


def _contract(payout: Payout, fact: Fact) -> tuple[type[Envelope], BaseModel]:
    event, key = fact.event, payout.payout_id
    match event:
        case Approved():
            return contract.PayoutApprovedEvent, contract.PayoutApproved(
                payout_id=key, policy_version=event.policy_version, approvers=list(event.approvers)
            )
        case Held():
            return contract.PayoutHeldEvent, contract.PayoutHeld(payout_id=key, reason=event.reason)
        case Submitted():
            return contract.PayoutSubmittedEvent, contract.PayoutSubmitted(
                payout_id=key, attempt_no=event.attempt_no, rail=event.rail, provider_key=event.provider_key
            )
        case Pending():
            return contract.PayoutPendingEvent, contract.PayoutPending(
                payout_id=key,
                attempt_no=event.attempt_no,
                rail=event.rail,
                provider_ref=event.provider_ref,
                tx_hash=event.tx_hash,
            )
        case Unknown():
            return contract.PayoutUnknownEvent, contract.PayoutUnknown(
                payout_id=key, attempt_no=event.attempt_no, rail=event.rail, code=event.code
            )
        case Paid():
            return contract.PayoutPaidEvent, _paid(payout, event)
        case Ended():
            closure = None if event.closure is None else contract.Closure(event=event.closure)
            return _ENDED[event.state], contract.PayoutClosed(
                payout_id=key,
                code=event.code,
                reason=event.reason,
                attempts=event.attempts,
                closure=closure,
            )
        case Returned():
            return contract.PayoutReturnedEvent, contract.PayoutReturned(
                payout_id=key,
                return_ref=event.return_ref,
                asset=event.amount.asset.code,
                amount=event.amount.to_wire(),
                fee=event.fee.to_wire(),
            )
        case CloseAsked():
            return CloseRequestedEvent, CloseRequested(payout_id=key)


def _paid(payout: Payout, event: Paid) -> contract.PayoutPaid:
    return contract.PayoutPaid(
        payout_id=payout.payout_id,
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


def method_event(method: Method, *, change: str, correlation_id: str, outbox: Outbox) -> EncodedEvent:
    """A method, whole, as it now is."""
    data = contract.MethodChanged(
        method_id=method.method_id,
        version=method.version,
        player=method.player,
        type=method.type,
        rail_type=method.rail_type,
        state="active" if method.state == "active" else "removed",
        verified=method.verified,
        is_default=method.is_default,
        registered_by="staff" if method.by_staff else "player",
        address=method.address,
        memo=method.memo,
        commitment=method.commitment,
    )
    return outbox.event(
        _METHOD[change],
        data,
        subject=str(method.method_id),
        version=method.version,
        correlation_id=correlation_id,
    )
