"""From events to commands: what a batch hands to the handlers."""

from datetime import datetime

from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.events.signing import CloseRequestedEvent, SigningRequestedEvent, SlotClosedEvent
from prizewire_signer.domain.commands import CloseRequest, SlotClosing
from prizewire_signer.domain.errors import MismatchedClosing
from prizewire_signer.domain.model import Slot
from prizewire_signer.domain.states import SlotState, WorkState
from prizewire_signer.handlers.slots import names_itself
from prizewire_signer.ports import Work


def work_of(event: SigningRequestedEvent, *, now: datetime) -> Work:
    """The work row of a request: kept in canonical bytes until a worker reads it."""
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
        raise MismatchedClosing(f"slot {slot.slot_id} is not the one that its fields name")
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
