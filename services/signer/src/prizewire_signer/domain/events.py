"""The signer's answers, as facts; an adapter turns them into signed events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_signer.domain.model import Signature, Slot
from prizewire_signer.errors import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """Signed. ``cause`` is the id of the request's event, as in every answer. ``max_time`` is Unix seconds."""

    request_id: UUID
    slot: Slot
    revision: int
    tx_hash: str
    signatures: Sequence[Signature]
    payout_ids: Sequence[UUID]
    max_time: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Not signed, nothing recorded. ``items`` names the payouts that caused the refusal, with their own codes; ``free_at``
    is the time from which payouts that wait may be requested again.
    """

    request_id: UUID
    slot: Slot
    revision: int
    tx_hash: str
    code: Code
    items: Sequence[tuple[UUID, Code]]
    free_at: Mapping[UUID, datetime]
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The tombstone."""

    payout_id: UUID
    correlation_id: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRefused:
    """Not closed, for the reason ``code``. ``slot`` is the last one on which the payout was signed; ``free_at`` is when
    time lifts the reason, None where it does not.
    """

    payout_id: UUID
    slot: Slot
    code: Code
    free_at: datetime | None
    correlation_id: str
    cause: str


Answer = Completed | Refused | Closed | CloseRefused
