"""``prizewire.signing.requests.v1`` (by payouts) and ``prizewire.signing.results.v1`` (by the signer).

Subject: the slot id for what concerns a transaction, the payout id for what concerns a closing. Correlation id:
UUIDv5 of the slot for the former, the payout's own for the latter.
"""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from prizewire_contracts.envelope import (
    CorrelationId,
    Data,
    Digest,
    HexSignature,
    ServiceEnvelope,
    Timestamp,
    Version,
)
from prizewire_contracts.intents import Approval, Intent
from prizewire_contracts.text import Ascii, EventLine, Word, printable_members

SigningKind = Literal["payment", "fee_bump", "void_slot", "restore", "reclaim"]
SlotResult = Literal["succeeded", "failed", "expired"]


class SlotRef(Data):
    """A slot by name: ``sequence`` is a decimal string, since sequence numbers exceed 2^53."""

    slot_id: UUID
    chain: Literal["stellar", "ton"]
    account: Ascii
    sequence: Annotated[str, Field(pattern=r"^[0-9]{1,19}$")]


class SigningItem(Data):
    """One payout of a transaction: ``op`` is the index of its operation, from 0."""

    op: Annotated[int, Field(ge=0, le=99)]
    payout_id: UUID
    correlation_id: CorrelationId
    intent: Annotated[Intent, AfterValidator(printable_members)]
    intent_signature: HexSignature


class SigningRequested(Data):
    """Sign this transaction. ``xdr`` is the unsigned envelope (base64), ``tx_hash`` its hash, ``max_time`` Unix
    seconds, ``fee_cap`` stroops for the whole transaction.
    """

    request_id: UUID
    kind: SigningKind
    chain: Literal["stellar", "ton"]
    slot: SlotRef
    revision: Version
    xdr: Annotated[str, Field(max_length=200_000, pattern=r"^[A-Za-z0-9+/=]+$")]
    tx_hash: Digest
    max_time: Annotated[int, Field(ge=1)]
    fee_cap: Annotated[int, Field(ge=1)]
    items: Annotated[list[SigningItem], Field(max_length=100)]
    approval: Annotated[Approval, AfterValidator(printable_members)]
    approval_signature: HexSignature


class SlotClosed(Data):
    """A slot's sequence number is consumed, with proof. ``succeeded`` and ``failed`` name the signed digest that
    consumed it, which may be that of a voiding transaction. ``expired``: none of our digests did, by the evidence of
    two persons; ``consumed_by_hash`` is then the foreign transaction, or None where that is not known either.
    """

    slot: SlotRef
    consumed_by_hash: Digest | None
    result: SlotResult
    ledger: Annotated[int, Field(ge=1)]


class CloseRequested(Data):
    """Never sign for this payout again, if no valid signature for it exists."""

    payout_id: UUID


class DecoratedSignature(Data):
    """An Ed25519 signature and the public key (hex) that made it."""

    public_key: Digest
    signature: HexSignature


class SigningCompleted(Data):
    """Signed. ``counter`` rises by one with each signed answer of the signer and is its watermark. ``payout_ids`` are the
    payouts that the transaction pays, in the order of its operations, and ``max_time`` (Unix seconds) is when it can no longer
    be applied; both are None in events of older signers.
    """

    request_id: UUID
    slot: SlotRef
    revision: Version
    tx_hash: Digest
    signatures: Annotated[list[DecoratedSignature], Field(min_length=1, max_length=20)]
    counter: Annotated[int, Field(ge=1)]
    payout_ids: Annotated[list[UUID], Field(max_length=100)] | None = None
    max_time: Annotated[int, Field(ge=1)] | None = None


class ItemRefusal(Data):
    """Why one item was refused. ``not_before`` (Unix seconds) is set where time lifts the reason by itself: the item may
    be asked for again from then on.
    """

    payout_id: UUID
    code: Word
    not_before: Annotated[int, Field(ge=1)] | None = None


class SigningRefused(Data):
    """Not signed, and no digest recorded. ``code`` names the first reason; items name their own."""

    request_id: UUID
    slot: SlotRef
    revision: Version
    tx_hash: Digest
    code: Word
    items: list[ItemRefusal]
    counter: Annotated[int, Field(ge=1)]


class Closed(Data):
    """The tombstone: this signer will never sign for this payout again, and no valid signature for it exists."""

    payout_id: UUID
    counter: Annotated[int, Field(ge=1)]


class CloseRefused(Data):
    """Not closed. ``slot`` is the last one on which the payout was signed. ``code`` is the reason: ``payout_bound`` (a
    signature on the open slot may be applied), ``payout_waits`` (the slot is closed, and a signature on it may still be
    applied), ``payout_paid``, or ``again_over_limit`` (the signer's limit of the day for payouts that were signed before);
    None in events of older signers. ``not_before`` (Unix seconds) is set where time lifts the reason by itself.
    """

    payout_id: UUID
    slot: SlotRef
    code: Word | None = None
    not_before: Annotated[int, Field(ge=1)] | None = None


class RefusedMessages(Data):
    """How many messages the signer has not applied, of one ``state`` and ``reason`` (stable codes), and when the first and
    the newest arrived. ``place`` and ``detail`` are those of the newest; the first is topic, partition
    and offset, the second a sentence.
    """

    state: Literal["dead", "parked"]
    reason: Word
    count: Annotated[int, Field(ge=1)]
    first_at: Timestamp
    last_at: Timestamp
    place: Ascii
    detail: EventLine


class MessagesRefused(Data):
    """The messages that the signer has not applied, by kind. The signer serves no HTTP, so it publishes this when a kind
    appears, and at intervals while the number of a kind grows.
    """

    kinds: Annotated[list[RefusedMessages], Field(max_length=200)]


class _RequestEnvelope(ServiceEnvelope):
    signed: ClassVar[bool] = True
    producer: ClassVar[str | None] = "payouts"


class _ResultEnvelope(ServiceEnvelope):
    signed: ClassVar[bool] = True
    producer: ClassVar[str | None] = "signer"


class SigningRequestedEvent(_RequestEnvelope):
    """Envelope of ``signing.requested``."""

    type: Literal["prizewire.signing.requested.v1"] = "prizewire.signing.requested.v1"
    data: SigningRequested


class SlotClosedEvent(_RequestEnvelope):
    """Envelope of ``signing.slot_closed``."""

    type: Literal["prizewire.signing.slot_closed.v1"] = "prizewire.signing.slot_closed.v1"
    data: SlotClosed


class CloseRequestedEvent(_RequestEnvelope):
    """Envelope of ``signing.close_requested``."""

    type: Literal["prizewire.signing.close_requested.v1"] = "prizewire.signing.close_requested.v1"
    data: CloseRequested


class SigningCompletedEvent(_ResultEnvelope):
    """Envelope of ``signing.completed``."""

    type: Literal["prizewire.signing.completed.v1"] = "prizewire.signing.completed.v1"
    data: SigningCompleted


class SigningRefusedEvent(_ResultEnvelope):
    """Envelope of ``signing.refused``."""

    type: Literal["prizewire.signing.refused.v1"] = "prizewire.signing.refused.v1"
    data: SigningRefused


class ClosedEvent(_ResultEnvelope):
    """Envelope of ``signing.closed``."""

    type: Literal["prizewire.signing.closed.v1"] = "prizewire.signing.closed.v1"
    data: Closed


class CloseRefusedEvent(_ResultEnvelope):
    """Envelope of ``signing.close_refused``."""

    type: Literal["prizewire.signing.close_refused.v1"] = "prizewire.signing.close_refused.v1"
    data: CloseRefused


class MessagesRefusedEvent(_ResultEnvelope):
    """Envelope of ``signing.messages_refused``."""

    type: Literal["prizewire.signing.messages_refused.v1"] = "prizewire.signing.messages_refused.v1"
    data: MessagesRefused


SigningRequestEvent = Annotated[
    SigningRequestedEvent | SlotClosedEvent | CloseRequestedEvent, Field(discriminator="type")
]
SigningResultEvent = Annotated[
    SigningCompletedEvent | SigningRefusedEvent | ClosedEvent | CloseRefusedEvent | MessagesRefusedEvent,
    Field(discriminator="type"),
]
