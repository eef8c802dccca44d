"""Signing requests and closings: from events to the domain, with every signature inside them verified.

The consumer has authenticated the event of a request. That is not enough to sign: rewards signed the intent, and payouts
signed the approval under a separate key use. Both signatures are checked here against the pinned keys, at the time that
each of them names.
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
    SigningRequestedEvent,
    SlotClosedEvent,
)
from prizewire_contracts.ids import slot_id
from prizewire_contracts.intents import Approval as SignedApproval
from prizewire_contracts.intents import Intent as SignedIntent
from prizewire_contracts.trust import NotTrusted, TrustStore
from prizewire_signer.domain.commands import Approval, CloseRequest, Item, SigningRequest, SlotClosing
from prizewire_signer.domain.model import Intent, Slot, Way
from prizewire_signer.domain.states import SlotState, WorkState
from prizewire_signer.errors import Code, MismatchedClosing
from prizewire_signer.ports import Work

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
        """The request in ``work``, with the result of checking each of its signatures.

        Raises:
            pydantic.ValidationError: the payload is malformed; the stored row was changed.
        """
        data = SigningRequested.model_validate_json(work.payload, strict=True)
        slot = Slot(
            slot_id=data.slot.slot_id,
            chain=data.slot.chain,
            account=data.slot.account,
            sequence=int(data.slot.sequence),
        )
        return SigningRequest(
            request_id=data.request_id,
            kind=data.kind,
            slot=slot,
            slot_fault=(
                not names_itself(slot, sequence=data.slot.sequence, network=self._network)
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


def _intent(intent: SignedIntent) -> Intent:
    timeless = replace(intent, issued_at=0, expires_at=0, key_id="")
    return Intent(
        version=intent.v,
        network=intent.network,
        payout_id=intent.payout_id,
        correlation_id=intent.correlation_id,
        pay_asset=intent.pay_asset,
        pay_amount=intent.pay_amount,
        ways=tuple(
            Way(rail=way.rail, address=way.destination, memo=way.memo, amount_max=way.amount_max)
            for way in intent.allowed
        ),
        expires_at=intent.expires_at,
        terms=hashlib.sha256(orjson.dumps(timeless, option=orjson.OPT_SORT_KEYS)).digest(),
    )


def _moment(seconds: int) -> datetime | None:
    """A Unix time; None where it lies outside the calendar."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None


def work_of(event: SigningRequestedEvent, *, now: datetime) -> Work:
    """The work row of a request: stored in canonical bytes until a worker reads it."""
    return Work(
        work_id=0,
        event_id=event.id,
        subject=event.subject,
        payload=canonical_bytes(event.data.model_dump(mode="json")),
        event_time=event.time,
        received_at=now,
        state=WorkState.QUEUED,
        tx_hash=None,
    )


def slot_closing_of(event: SlotClosedEvent, *, network: str) -> SlotClosing:
    """The domain's command.

    Raises:
        MismatchedClosing: the slot's id does not follow from its fields or is not the event's subject.
    """
    data = event.data
    slot = Slot(
        slot_id=data.slot.slot_id,
        chain=data.slot.chain,
        account=data.slot.account,
        sequence=int(data.slot.sequence),
    )
    if not names_itself(slot, sequence=data.slot.sequence, network=network) or event.subject != str(
        slot.slot_id
    ):
        raise MismatchedClosing(
            f"slot id {slot.slot_id} does not follow from chain, network, account and sequence, or is not the event's subject"
        )
    return SlotClosing(
        slot=slot,
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


def names_itself(slot: Slot, *, sequence: str, network: str) -> bool:
    """Whether the id follows from chain, network, account and sequence, and ``sequence`` is the number's own text.

    Sequence numbers are signed 64-bit integers (Stellar protocol, ``SequenceNumber``).
    """
    derived = slot_id(chain=slot.chain, network=network, account=slot.account, sequence=slot.sequence)
    return derived == slot.slot_id and str(slot.sequence) == sequence and slot.sequence < 2**63
