"""From stored signing requests to the domain's, with every signature inside them verified.

The event around a request was already authenticated when it was taken in. That is not enough to sign: the intent
is by rewards, the approval by payouts under a key use of its own, and both are checked here again against the
pinned keys, at the time that each of them names.
"""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import orjson

from prizewire_contracts.events.signing import (
    SigningItem,
    SigningRequested,
)
from prizewire_contracts.intents import Approval as SignedApproval
from prizewire_contracts.intents import Intent as SignedIntent
from prizewire_contracts.trust import NotTrusted, TrustStore
from prizewire_signer.domain.commands import Approval, Item, SigningRequest
from prizewire_signer.domain.errors import Code
from prizewire_signer.domain.model import Destination, Intent, Slot
from prizewire_signer.handlers.slots import names_itself
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
        """The request in ``work``, with the verdict on each of its signatures.

        Raises:
            pydantic.ValidationError: the payload is not what was taken in; the row was changed.
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
        destinations=tuple(
            Destination(rail=way.rail, address=way.destination, memo=way.memo) for way in intent.allowed
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
