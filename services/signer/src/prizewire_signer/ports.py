"""What the handlers need from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_money import Amount
from prizewire_signer.domain.commands import CloseRequest, SigningRequest, SlotClosing
from prizewire_signer.domain.events import Answer
from prizewire_signer.domain.judge import DigestFacts, Facts
from prizewire_signer.domain.model import Signature, Slot, Transaction
from prizewire_signer.domain.states import PayoutState, SlotState, WorkState

__all__ = [
    "Answers",
    "Backend",
    "Book",
    "ClosingBook",
    "QueueState",
    "RecordedDigest",
    "RequestReader",
    "SlotDigest",
    "TransactionReader",
    "Work",
]


class Backend(Protocol):
    """Holds chain keys and signs with them. One folder under ``adapters/backends`` for each kind."""

    def public_keys(self) -> frozenset[bytes]:
        """The Ed25519 public keys (32 bytes each) that it can sign with."""
        ...

    async def sign(self, public_key: bytes, tx_hash: bytes) -> bytes:
        """The 64-byte Ed25519 signature of the 32-byte ``tx_hash``. The same input gives the same answer.

        Raises:
            BackendError: with a stable code and whether time heals it.
        """
        ...


class TransactionReader(Protocol):
    """Decodes a chain's transactions and computes their hash with the pinned network."""

    def read(self, xdr: str) -> Transaction:
        """The unsigned plain transaction in these base64 bytes.

        Raises:
            UnreadableTransaction: they are anything else.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One signing request as it lies in the database: ``payload`` is the canonical JSON of the event's data."""

    work_id: int
    event_id: str
    subject: str
    payload: bytes
    event_time: datetime
    received_at: datetime
    state: WorkState
    tx_hash: bytes | None


class RequestReader(Protocol):
    """Reads a stored request and verifies the signatures inside it."""

    def read(self, work: Work) -> SigningRequest:
        """The request, with the verdict on each of its signatures."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDigest:
    """A digest that was recorded, as its answer needs it."""

    tx_hash: bytes
    kind: str
    account: str
    signatures: tuple[Signature, ...]


class Book(Protocol):
    """The signer's records inside one transaction of a worker."""

    async def claim(self, *, now: datetime, lease_s: int) -> Work | None:
        """Lease the oldest request that is due, passing over those that others hold.

        Committed by itself: a request that fails in an unforeseen way then comes again only after its lease, and
        does not hold up the others.
        """
        ...

    async def lock(self, work_id: int) -> Work | None:
        """Lock a leased request; None once it has been answered."""
        ...

    async def digest(self, tx_hash: bytes) -> DigestFacts | None:
        """A digest recorded before."""
        ...

    async def facts(self, *, request: SigningRequest, assets: Sequence[str], now: datetime) -> Facts:
        """What is known about a request's slot, payouts and limits, locked until the transaction ends."""
        ...

    async def record(
        self,
        *,
        work: Work,
        request: SigningRequest,
        transaction: Transaction,
        facts: Facts,
        amounts: Mapping[UUID, Amount],
        ceilings: Mapping[str, int],
        now: datetime,
    ) -> None:
        """Bind the payouts to the slot, reserve the limits and record the digest.

        Raises:
            BindingRace: a row that ``facts`` did not find is there by now.
        """
        ...

    async def advance(
        self, *, work: Work, state: WorkState, tx_hash: bytes | None, ready_at: datetime, now: datetime
    ) -> None:
        """Move a claimed request on; it is due again at ``ready_at`` unless it is finished."""
        ...

    async def defer(self, *, work: Work, until: datetime) -> None:
        """Leave a claimed request queued until then."""
        ...

    async def recorded(self, tx_hash: bytes) -> RecordedDigest:
        """A recorded digest with the signatures made so far."""
        ...

    async def store_signatures(
        self, *, tx_hash: bytes, signatures: Sequence[Signature], now: datetime
    ) -> None:
        """Keep signatures; those already there stay as they are."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotDigest:
    """What a digest of a slot pays, nothing where it voids the slot, and until when (Unix seconds) it may apply."""

    payouts: frozenset[UUID]
    max_time: int


class ClosingBook(Protocol):
    """The signer's records inside one batch of requests."""

    async def enqueue(self, work: Sequence[Work]) -> None:
        """Take in signing requests; those already there stay as they are."""
        ...

    async def answered(self, event_ids: Sequence[str]) -> frozenset[str]:
        """Which of these events were answered before, with a counter."""
        ...

    async def slot_state(self, slot_id: UUID) -> tuple[SlotState, bytes | None, int | None] | None:
        """State, consuming hash and ledger of a slot, locked; None for one never met."""
        ...

    async def slot_digests(self, slot_id: UUID) -> Mapping[bytes, SlotDigest]:
        """Every digest of a slot, by its hash."""
        ...

    async def close_slot(
        self, *, closing: SlotClosing, paid: frozenset[UUID], known: bool, now: datetime
    ) -> None:
        """Close a slot: ``paid`` stay bound for ever, its other payouts become free."""
        ...

    async def tombstone(
        self, requests: Sequence[CloseRequest], *, now: datetime
    ) -> Mapping[UUID, tuple[PayoutState, Slot | None]]:
        """Tombstone every payout that has nothing out; the state of each afterwards, with its slot where bound."""
        ...


@dataclass(frozen=True, slots=True)
class QueueState:
    """Requests that wait, the age of the oldest in seconds, and the use of the present day's limits by asset as
    (used, ceiling) in minor units.
    """

    waiting: int
    oldest_s: float
    limits: Mapping[str, tuple[int, int]]


class Answers(Protocol):
    """Publishes answers in the same transaction: version, counter, audit and event."""

    async def give(self, answers: Sequence[Answer], *, now: datetime) -> None:
        """Put answers into the outbox, in this order, and refusals into the audit log."""
        ...
