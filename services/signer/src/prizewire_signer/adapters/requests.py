"""From stored signing requests to the domain's, with every signature inside them verified.

The event around a request was already authenticated when it was taken in. That is not enough to sign: the intent
is by rewards, the approval by payouts under a key use of its own, and both are checked here again against the
pinned keys, at the time that each of them names.
"""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import orjson

from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.events.signing import (
    CloseRequestedEvent,
    SigningItem,
    SigningRequested,
    SlotClosedEvent,
    SlotRef,
)
from prizewire_contracts.ids import slot_id
from prizewire_contracts.intents import Approval as SignedApproval
from prizewire_contracts.intents import Intent as SignedIntent
from prizewire_contracts.trust import NotTrusted, TrustStore
from prizewire_signer.domain.commands import Approval, CloseRequest, Item, SigningRequest, SlotClosing
from prizewire_signer.domain.errors import Code, MismatchedClosing
from prizewire_signer.domain.model import Destination, Intent, Slot
from prizewire_signer.domain.states import SlotState
from prizewire_signer.ports import Work

__all__ = ["TrustedRequests", "close_request_of", "payload_of", "slot_closing_of"]

_FAULTS = {
    "intent": {True: Code.INTENT_SIGNATURE_INVALID, False: Code.INTENT_KEY_NOT_TRUSTED},
    "approval": {True: Code.APPROVAL_SIGNATURE_INVALID, False: Code.APPROVAL_KEY_NOT_TRUSTED},
}


class TrustedRequests:
    """Reads requests against the pinned keys of ``trust`` for one ``network``."""

    def __init__(self, *, trust: TrustStore, network: str) -> None:
        self._trust = trust
        self._network = network

    def read(self, work: Work) -> SigningRequest:
        """The request in ``work``, with the verdict on each of its signatures.

        Raises:
            pydantic.ValidationError: the payload is not what was taken in; the row was changed.
        """
        data = SigningRequested.model_validate(orjson.loads(work.payload))
        slot = slot_of(data.slot)
        return SigningRequest(
            request_id=data.request_id,
            kind=data.kind,
            slot=slot,
            slot_fault=(
                slot_mismatch(data.slot, network=self._network)
                or data.chain != data.slot.chain
                or work.subject != str(data.slot.slot_id)
            ),
            revision=data.revision,
            xdr=data.xdr,
            tx_hash=data.tx_hash,
            max_time=data.max_time,
            fee_cap=data.fee_cap,
            items=tuple(self._item(item) for item in data.items),
            approval=self._approval(data, at=work.event_time),
        )

    def _item(self, item: SigningItem) -> Item:
        intent = item.intent
        return Item(
            op=item.op,
            payout_id=item.payout_id,
            correlation_id=item.correlation_id,
            intent=_intent(intent),
            fault=self._fault(
                signed=intent,
                signature=item.intent_signature,
                service="rewards",
                use="intent",
                at=_moment(intent.issued_at),
            ),
        )

    def _approval(self, data: SigningRequested, *, at: datetime) -> Approval:
        approval = data.approval
        return Approval(
            version=approval.v,
            kind=approval.kind,
            network=approval.network,
            chain=approval.chain,
            account=approval.account,
            sequence=approval.sequence,
            revision=approval.revision,
            tx_hash=approval.tx_hash,
            max_time=approval.max_time,
            fee_cap=approval.fee_cap,
            items=tuple(approval.items),
            fault=self._fault(
                signed=approval,
                signature=data.approval_signature,
                service="payouts",
                use="approval",
                at=at,
            ),
        )

    def _fault(
        self,
        *,
        signed: SignedIntent | SignedApproval,
        signature: str,
        service: str,
        use: str,
        at: datetime | None,
    ) -> Code | None:
        if at is None:
            return _FAULTS[use][False]
        try:
            self._trust.verify(
                keyid=signed.key_id,
                service=service,
                use=use,
                message=signed.signing_bytes(),
                signature=signature,
                at=at,
            )
        except NotTrusted as error:
            return _FAULTS[use][error.code == "signature_invalid"]
        return None


def payload_of(data: SigningRequested) -> bytes:
    """The canonical bytes in which a request is kept until a worker reads it."""
    return canonical_bytes(data.model_dump(mode="json"))


def slot_of(ref: SlotRef) -> Slot:
    """The domain's slot."""
    return Slot(slot_id=ref.slot_id, chain=ref.chain, account=ref.account, sequence=int(ref.sequence))


def slot_mismatch(ref: SlotRef, *, network: str) -> bool:
    """Whether a slot's id does not follow from what it names, or its sequence is written in an odd way."""
    sequence = int(ref.sequence)
    derived = slot_id(chain=ref.chain, network=network, account=ref.account, sequence=sequence)
    return derived != ref.slot_id or str(sequence) != ref.sequence or sequence >= 2**63


def slot_closing_of(event: SlotClosedEvent, *, network: str) -> SlotClosing:
    """The domain's command.

    Raises:
        MismatchedClosing: the slot's id does not follow from its fields or is not the event's subject.
    """
    data = event.data
    if slot_mismatch(data.slot, network=network) or event.subject != str(data.slot.slot_id):
        raise MismatchedClosing(f"slot {data.slot.slot_id} is not the one that its fields name")
    return SlotClosing(
        slot=slot_of(data.slot),
        state=SlotState(data.result),
        consumed_by=None if data.consumed_by_hash is None else bytes.fromhex(data.consumed_by_hash),
        ledger=data.ledger,
        event_id=event.id,
        correlation_id=event.correlationid,
    )


def close_request_of(event: CloseRequestedEvent) -> CloseRequest:
    """The domain's command.

    Raises:
        MismatchedClosing: the event's subject is another payout.
    """
    if event.subject != str(event.data.payout_id):
        raise MismatchedClosing(f"payout {event.data.payout_id} is not the event's subject")
    return CloseRequest(payout_id=event.data.payout_id, event_id=event.id, correlation_id=event.correlationid)


def _intent(intent: SignedIntent) -> Intent:
    timeless = replace(intent, issued_at=0, expires_at=0, key_id="")
    return Intent(
        version=intent.v,
        network=intent.network,
        payout_id=intent.payout_id,
        correlation_id=intent.correlation_id,
        pay_asset=intent.pay_asset,
        pay_amount=intent.pay_amount,
        destinations=tuple(
            Destination(rail=way.rail, address=way.destination, memo=way.memo) for way in intent.allowed
        ),
        expires_at=intent.expires_at,
        terms=hashlib.sha256(timeless.signing_bytes()).digest(),
    )


def _moment(seconds: int) -> datetime | None:
    """A Unix time; None where it lies outside the calendar."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None
