"""What the handlers need from outside."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_money import Amount
from prizewire_signer.domain.commands import CloseRequest, SigningRequest, SlotClosing
from prizewire_signer.domain.events import Answer
from prizewire_signer.domain.judge import ClosingFacts, DigestFacts, Facts
from prizewire_signer.domain.model import AssetLimits, Signature, Transaction
from prizewire_signer.domain.states import SlotState, WorkState


class Backend(Protocol):
    """Holds chain keys and signs with them. One module of ``adapters/backends`` for each kind."""

    def public_keys(self) -> frozenset[bytes]:
        """The Ed25519 public keys (32 bytes each) that it can sign with."""
        ...

    async def sign(self, public_key: bytes, tx_hash: bytes) -> bytes:
        """The 64-byte Ed25519 signature of the 32-byte ``tx_hash``. The same input gives the same answer.

        Raises:
            BackendError: with a stable code and whether a retry can succeed.
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
    """One stored signing request: ``payload`` is the canonical JSON of the event's data."""

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
    signatures: tuple[Signature, ...]


class SigningStore(Protocol):
    """The signer's records inside one transaction of a worker."""

    async def claim(self, *, now: datetime, lease_s: int) -> int | None:
        """Lease the oldest request that is due, skipping those that other workers lease or that this one has postponed;
        returns its id and reads nothing else of it.

        Committed by itself: a request with an unexpected failure then comes again only after its lease, and does not
        block the others.
        """
        ...

    async def lock(self, work_id: int) -> Work | None:
        """Lock a leased request; None once it has been answered."""
        ...

    async def digest(self, tx_hash: bytes) -> DigestFacts | None:
        """A digest recorded before."""
        ...

    async def facts(
        self, *, work: Work, request: SigningRequest, assets: Sequence[str], now: datetime
    ) -> Facts:
        """The records about a request's slot, payouts and limits, locked until the transaction ends. Payouts of closed
        slots that are due are freed first, with the work as the cause.
        """
        ...

    async def record(
        self,
        *,
        work: Work,
        request: SigningRequest,
        transaction: Transaction,
        facts: Facts,
        amounts: Mapping[UUID, Amount],
        limits: Mapping[str, AssetLimits],
        now: datetime,
    ) -> None:
        """Bind the payouts to the slot, reserve the limits and record the digest.

        Raises:
            BindingRace: a row that ``facts`` did not find exists now.
        """
        ...

    async def count(
        self,
        *,
        request: SigningRequest,
        facts: Facts,
        amounts: Mapping[UUID, Amount],
        limits: Mapping[str, AssetLimits],
        now: datetime,
    ) -> None:
        """Count the payouts into the day's limits that are not counted for this slot today.

        Raises:
            BindingRace: a limit was used up since ``facts``.
        """
        ...

    async def advance(
        self, *, work: Work, state: WorkState, tx_hash: bytes | None, ready_at: datetime, now: datetime
    ) -> None:
        """Move a claimed request on; it is due again at ``ready_at`` unless it is finished."""
        ...

    async def recorded(self, tx_hash: bytes) -> RecordedDigest:
        """A recorded digest with the signatures made so far."""
        ...

    async def store_signatures(
        self, *, tx_hash: bytes, signatures: Sequence[Signature], now: datetime
    ) -> None:
        """Store signatures; existing ones are not changed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotDigest:
    """What a digest of a slot pays: nothing where it voids the slot."""

    payouts: frozenset[UUID]


class ClosingStore(Protocol):
    """The signer's records inside one batch of requests."""

    async def enqueue(self, work: Sequence[Work]) -> None:
        """Store signing requests; existing ones are not changed."""
        ...

    async def answered(self, event_ids: Sequence[str]) -> frozenset[str]:
        """Which of these events were answered before, with a counter."""
        ...

    async def slot_state(self, slot_id: UUID) -> tuple[SlotState, bytes | None, int | None] | None:
        """State, consuming hash and ledger of a slot, locked; None for an unknown one."""
        ...

    async def slot_digests(self, slot_id: UUID) -> Mapping[bytes, SlotDigest]:
        """Every digest of a slot, by its hash."""
        ...

    async def close_slot(
        self, *, closing: SlotClosing, paid: frozenset[UUID], known: bool, margin_s: int, now: datetime
    ) -> None:
        """Close a slot: ``paid`` stay bound for ever. Each of its other payouts stays bound until ``margin_s`` after the
        latest maxTime of the slot's digests that pay it.
        """
        ...

    async def hold_slot(self, slot_id: UUID) -> None:
        """Keep the payouts that are still bound to this slot bound for ever."""
        ...

    async def contradicted_slots(self) -> Sequence[UUID]:
        """Slots with payouts that a moment would free, of which another ``signing.slot_closed`` was refused for its id or
        version.
        """
        ...

    async def closing_facts(
        self, payout_ids: Collection[UUID], *, now: datetime
    ) -> Mapping[UUID, ClosingFacts]:
        """The records about payouts that are to be closed, locked until the transaction ends. Unknown ones get their
        tombstone at once; those of closed slots that are due are freed first.
        """
        ...

    async def again_used(self, ceilings: Mapping[str, int], *, now: datetime) -> Mapping[str, int]:
        """Minor units of the day's limit for payouts that were signed before, by asset, locked until the transaction ends.
        ``ceilings`` are the policy's, of the assets that are asked for.
        """
        ...

    async def tombstone(
        self,
        requests: Sequence[CloseRequest],
        *,
        facts: Mapping[UUID, ClosingFacts],
        closing: Collection[UUID],
        now: datetime,
    ) -> None:
        """Tombstone ``closing``, count them into the day's limit, and store the history of all these requests."""
        ...


@dataclass(frozen=True, slots=True)
class QueueState:
    """Requests that wait, the age of the oldest in seconds, and the use of the present day's limits by scope (``day``,
    ``again``) and asset as (used, ceiling) in minor units; and how many payouts of closed slots cannot be freed yet.
    """

    waiting: int
    oldest_s: float
    limits: Mapping[tuple[str, str], tuple[int, int]]
    not_free_yet: int


class Refusals(Protocol):
    """Messages that the signer refused."""

    async def publish(self, *, now: datetime) -> int:
        """Publish the sums by kind and audit what is new, where a kind is new or has grown for long enough. Returns how
        many kinds were new or had grown.
        """
        ...


class Answers(Protocol):
    """Publishes answers in the same transaction: version, counter, audit and event."""

    async def give(self, answers: Sequence[Answer], *, now: datetime) -> None:
        """Write answers to the outbox, in this order, and refusals to the audit log."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOfWork:
    """The stores of one transaction, and the answers that it publishes. All of it commits together."""

    signing: SigningStore
    closing: ClosingStore
    answers: Answers
    refusals: Refusals
