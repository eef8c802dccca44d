"""What payouts asks of the signer."""

from dataclasses import dataclass
from uuid import UUID

from prizewire_signer.domain.model import Intent, Slot
from prizewire_signer.domain.states import SlotState
from prizewire_signer.errors import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What payouts signed for this transaction. ``fault`` is the reason why its signature is invalid, None for a valid one."""

    version: int
    kind: str
    network: str
    chain: str
    account: str
    sequence: str
    revision: int
    tx_hash: str
    max_time: int
    fee_cap: int
    items: tuple[str, ...]
    fault: Code | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One payout of a transaction. ``fault`` is the reason why the intent's signature is invalid, None for a valid one."""

    op: int
    payout_id: UUID
    correlation_id: str
    intent: Intent
    fault: Code | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """``signing.requested`` with its signatures checked and ``xdr`` not decoded yet. ``slot_fault`` is set
    where the slot's id does not follow from its fields or is not the event's subject.
    """

    request_id: UUID
    kind: str
    slot: Slot
    slot_fault: bool
    revision: int
    xdr: str
    tx_hash: str
    max_time: int
    fee_cap: int
    items: tuple[Item, ...]
    approval: Approval

    @property
    def payout_ids(self) -> tuple[UUID, ...]:
        """In the order of operations."""
        return tuple(item.payout_id for item in self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotClosing:
    """``signing.slot_closed``: how a slot ended, as payouts reports it. ``event_id`` is the cause kept in history."""

    slot: Slot
    state: SlotState
    consumed_by: bytes | None
    ledger: int
    event_id: str
    correlation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRequest:
    """``signing.close_requested``: never sign for this payout again, if no usable signature for it exists."""

    payout_id: UUID
    event_id: str
    correlation_id: str
