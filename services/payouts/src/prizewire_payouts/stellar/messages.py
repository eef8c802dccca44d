"""The events that the execution publishes for the signer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal
from uuid import UUID

from prizewire_chassis.outbox import Outbox
from prizewire_contracts import ids
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events.signing import (
    SigningRequested,
    SigningRequestedEvent,
    SlotClosed,
    SlotClosedEvent,
    SlotRef,
)
from prizewire_contracts.intents import Approval
from prizewire_contracts.trust import MessageKey
from prizewire_payouts.stellar.domain.model import Kind, Payment
from prizewire_payouts.stellar.ports import BuildPlan

CHAIN: Literal["stellar"] = "stellar"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRow:
    """A slot, and the version of its next event."""

    slot_id: UUID
    account: str
    sequence: int
    version: int

    @property
    def ref(self) -> SlotRef:
        """The slot as events name it."""
        return SlotRef(slot_id=self.slot_id, chain=CHAIN, account=self.account, sequence=str(self.sequence))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerMessages:
    """Makes signed events for the signer of one network."""

    network: str
    key: MessageKey = field(repr=False)
    outbox: Outbox

    def signing_requested(
        self,
        *,
        slot: SlotRow,
        revision: int,
        kind: Kind,
        plan: BuildPlan,
        payments: Sequence[Payment],
    ) -> EncodedEvent:
        """The request to sign these bytes on this slot for these payouts, with payouts' approval and rewards' intents."""
        built = plan.built
        approval = Approval(
            v=1,
            kind=str(kind),
            network=self.network,
            chain=CHAIN,
            account=slot.account,
            sequence=str(slot.sequence),
            revision=revision,
            tx_hash=built.tx_hash,
            max_time=built.max_time,
            fee_cap=plan.fee_cap,
            items=tuple(str(payment.payout_id) for payment in payments),
            key_id=self.key.keyid,
        )
        data = SigningRequested.model_validate(
            {
                "request_id": ids.derive("signing_request", str(slot.slot_id), revision),
                "kind": str(kind),
                "chain": CHAIN,
                "slot": slot.ref,
                "revision": revision,
                "xdr": built.unsigned_xdr,
                "tx_hash": built.tx_hash,
                "max_time": built.max_time,
                "fee_cap": plan.fee_cap,
                "items": [
                    {
                        "op": index,
                        "payout_id": payment.payout_id,
                        "correlation_id": payment.correlation_id,
                        "intent": payment.intent,
                        "intent_signature": payment.intent_signature,
                    }
                    for index, payment in enumerate(payments)
                ],
                "approval": asdict(approval),
                "approval_signature": self.key.sign(approval.signing_bytes()),
            }
        )
        return self.outbox.event(
            SigningRequestedEvent,
            data,
            subject=str(slot.slot_id),
            version=slot.version,
            correlation_id=str(slot.slot_id),
            follows=payments[0].correlation_id if payments else None,
        )

    def slot_closed(
        self,
        *,
        slot: SlotRow,
        consumed_by_hash: str | None,
        result: Literal["succeeded", "failed", "expired"],
        ledger: int,
    ) -> EncodedEvent:
        """This slot's sequence number is consumed, as the ledger proves or two persons have confirmed."""
        return self.outbox.event(
            SlotClosedEvent,
            SlotClosed(slot=slot.ref, consumed_by_hash=consumed_by_hash, result=result, ledger=ledger),
            subject=str(slot.slot_id),
            version=slot.version,
            correlation_id=str(slot.slot_id),
        )
