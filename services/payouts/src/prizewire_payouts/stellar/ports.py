"""What the steps need: a node of the chain, a maker of transactions, and the stored attempts.

No transaction is open during a call to the chain: each method of a storage is one transaction that locks the attempt and
checks that it is still in the state that the caller has read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_payouts.stellar.domain.model import (
    AccountQuery,
    AccountsRead,
    Built,
    FeeStats,
    LedgerMoment,
    LookUp,
    Payment,
    SendAnswer,
    SlotView,
    TransactionAttempt,
)
from prizewire_payouts.stellar.domain.review import Evidence, EvidenceState, Review, Settlement
from prizewire_payouts.stellar.domain.states import TransactionState


class RpcUnavailable(Exception):
    """A node did not answer, or its answer cannot be read. What it did is not known."""


class ChainRpc(Protocol):
    """One Stellar RPC node. Every method raises ``RpcUnavailable``, and nothing else, when it has no clear answer."""

    async def latest_ledger(self) -> LedgerMoment:
        """The last closed ledger."""
        ...

    async def fee_stats(self) -> FeeStats:
        """What classic operations bid lately."""
        ...

    async def accounts(self, queries: Sequence[AccountQuery]) -> AccountsRead:
        """Accounts with the asked trustlines and SEP-29's flag; those that do not exist are left out."""
        ...

    async def send(self, signed_xdr: str) -> SendAnswer:
        """Hand signed bytes to the network; repeating it is harmless."""
        ...

    async def look_up(self, tx_hash: str) -> LookUp:
        """What the node knows of a transaction."""
        ...


class TransactionMaker(Protocol):
    """Builds transactions for one network and one treasury; pure computation."""

    @property
    def treasury(self) -> str:
        """The account that pays: the source of every operation."""
        ...

    def payments(
        self, *, account: str, sequence: int, payments: Sequence[Payment], memo: str, max_time: int, fee: int
    ) -> Built:
        """One payment operation for each item, in this order, on the slot (account, sequence)."""
        ...

    def void(self, *, account: str, sequence: int, max_time: int, fee: int) -> Built:
        """A transaction that consumes the slot (account, sequence) and has no other effect."""
        ...


@dataclass(frozen=True, slots=True)
class Leased:
    """Whether payments were leased, or how many seconds to wait for a fuller batch."""

    taken: bool
    wait_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """What is committed when an attempt is built: the transaction and the items it holds in the order of its
    operations, items ejected with their codes, and items that go back to the queue until ``retry_at``.
    """

    built: Built
    items: tuple[UUID, ...]
    ejected: Mapping[UUID, str] = field(default_factory=dict)
    waiting: tuple[UUID, ...] = ()
    retry_at: datetime | None = None
    fee_cap: int


class Attempts(Protocol):
    """Attempts that are due. ``False`` from a method of these storages means that the attempt was no longer in the state
    that the caller had read: nothing was changed.
    """

    async def in_state(self, *states: TransactionState, now: datetime) -> list[TransactionAttempt]:
        """Attempts in these states that are due, with their payments where they are leased."""
        ...

    async def next_due(self, state: TransactionState) -> datetime | None:
        """When the first attempt in this state is due; None where there is none."""
        ...

    async def postpone(self, attempt_id: int, *, until: datetime) -> None:
        """Look at this attempt again at ``until``."""
        ...


class Leases(Attempts, Protocol):
    """From the queue to a built transaction."""

    async def lease(self, *, now: datetime) -> Leased:
        """Take a free channel and queued payments of one memo."""
        ...

    async def release(
        self,
        attempt: TransactionAttempt,
        *,
        ejected: Mapping[UUID, str],
        retry_at: datetime,
        rest: tuple[datetime, str] | None,
        now: datetime,
    ) -> bool:
        """Leased → released: payments go back to the queue until ``retry_at``, but for the ejected. ``rest`` is
        until when the channel is not to be leased, and why. A slot that may bind payouts at the signer is voided.
        """
        ...

    async def commit_built(self, attempt: TransactionAttempt, *, plan: BuildPlan, now: datetime) -> bool:
        """Leased → built, with slot, items, ejections and the signed request, in one commit."""
        ...


class Outcomes(Attempts, Protocol):
    """From a signed transaction to its proved outcome."""

    async def commit_sent(
        self, attempt: TransactionAttempt, *, ledger: int, due: datetime, now: datetime
    ) -> bool:
        """Signed → sent, before the send."""
        ...

    async def note_checked(self, attempt: TransactionAttempt, *, ledger: int, due: datetime) -> None:
        """The same bytes were sent again, or are still looked for: next look at ``due``."""
        ...

    async def to_checking(self, attempt: TransactionAttempt, *, detail: str, now: datetime) -> bool:
        """built, exported, signed or sent → checking."""
        ...

    async def succeed(self, attempt: TransactionAttempt, *, look_up: LookUp, now: datetime) -> bool:
        """Every item paid, slot closed with its event, dead revisions superseded. Where the transaction voids its
        slot, the payments that wait on it end without effect.
        """
        ...

    async def fail(
        self,
        attempt: TransactionAttempt,
        *,
        look_up: LookUp,
        codes: Mapping[int, str],
        now: datetime,
    ) -> bool:
        """Items named in ``codes`` by operation end without effect; neighbours are free; slot closed. Where the
        transaction voids its slot, the payments that wait on it end without effect.
        """
        ...

    async def mark_dead(self, attempt: TransactionAttempt, *, detail: str, now: datetime) -> bool:
        """Checking → dead, and what follows on its slot: see ``prizewire_payouts.stellar.domain.states``."""
        ...

    async def to_review(self, attempt: TransactionAttempt, *, detail: str, now: datetime) -> bool:
        """Checking → review: the channel stays held until persons decide."""
        ...

    async def slot(self, slot_id: UUID) -> SlotView:
        """A slot with every digest built on it."""
        ...


@dataclass(frozen=True, slots=True)
class EndedTransaction:
    """A transaction that ended as refused, failed, dead or superseded. ``max_time`` is Unix seconds."""

    attempt_id: int
    tx_hash: str
    state: TransactionState
    max_time: int


class Endings(Protocol):
    """Transactions that ended without success, to be compared with the ledger."""

    async def ended(
        self, *, since: int, until: int, after: tuple[int, int] | None, limit: int
    ) -> list[EndedTransaction]:
        """Those whose maxTime lies between ``since`` and ``until`` (Unix seconds, both included), by maxTime and id, from
        behind ``after`` on, but for those that the ledger is known to contradict.
        """
        ...

    async def newest(self, *, since: int, until: int, limit: int) -> list[EndedTransaction]:
        """The same, last maxTime first."""
        ...

    async def contradict(self, ended: EndedTransaction, *, ledger: int, now: datetime) -> bool:
        """Store that this ledger applied the transaction; False where that is stored already."""
        ...


@dataclass(frozen=True, slots=True)
class UnaskedTransaction:
    """A transaction that the signer signed and payouts did not ask for. ``max_time`` and ``signed_at`` are Unix seconds."""

    tx_hash: str
    payout_ids: tuple[UUID, ...]
    max_time: int | None
    signed_at: int


class Unasked(Protocol):
    """Transactions that payouts did not ask for, to be looked up on the ledger."""

    async def open(self, *, after: str, limit: int) -> list[UnaskedTransaction]:
        """Those whose outcome is not known, by hash, from behind ``after`` on."""
        ...

    async def end(self, one: UnaskedTransaction, *, ledger: int | None, now: datetime) -> None:
        """Store that ``ledger`` applied it, or, where that is None, that it can have no effect."""
        ...


class Reviews(Protocol):
    """Transactions that wait for two persons, inside one transaction of the caller."""

    async def open(self) -> list[Review]:
        """What is in review now, newest first."""
        ...

    async def find(self, attempt_id: int, *, lock: bool = False) -> Review | None:
        """A transaction that is or was in review; with ``lock`` it is locked until the transaction ends."""
        ...

    async def file(self, review: Review, filed: Evidence) -> None:
        """Store evidence that a first person filed."""
        ...

    async def decide(
        self, evidence_id: UUID, *, state: EvidenceState, by: str, note: str | None, now: datetime
    ) -> None:
        """Store the decision of another person on it."""
        ...

    async def settle(self, review: Review, settlement: Settlement, *, cause: str, now: datetime) -> None:
        """Review → succeeded or failed: payments that were made are paid, the others end without effect, the slot is
        closed and an event published for the signer.
        """
        ...
