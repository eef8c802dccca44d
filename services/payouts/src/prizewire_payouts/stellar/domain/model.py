"""Domain types of the execution: payments, attempts, slots, and results of the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from prizewire_money import Amount
from prizewire_payouts.stellar.domain.states import InexactAmount, TransactionState

ITEMS_MAX = 100
"""Operations in one classic transaction, by the protocol (stellar-xdr: ``MAX_OPS_PER_TX``)."""


class Kind(StrEnum):
    """What a transaction is for, as the signer knows it."""

    PAYMENT = "payment"
    VOID_SLOT = "void_slot"


@dataclass(frozen=True, slots=True, order=True)
class ChainAsset:
    """An asset on the chain: ``issuer`` is None for the native one."""

    code: str
    issuer: str | None


NATIVE = ChainAsset("XLM", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One payment to make. ``destination`` is a G or M address, ``account`` the G account behind it; ``memo`` is
    empty for none; ``intent`` and its signature are rewards'.
    """

    provider_key: UUID
    payout_id: UUID
    correlation_id: str
    asset: ChainAsset
    stroops: int
    destination: str
    account: str
    memo: str
    intent: Mapping[str, Any] = field(repr=False)
    intent_signature: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionAttempt:
    """One transaction as stored. ``sequence`` and ``revision`` are known from the moment it is built, or from the
    lease where it follows another revision of the same slot; ``channel_sequence`` is the highest sequence number
    that a closed slot of its channel had, ``slot_max_time`` the latest maxTime of any revision of its slot.
    ``tx_hash`` is hex, ``max_time`` Unix seconds.
    """

    attempt_id: int
    state: TransactionState
    kind: Kind
    account: str
    memo: str
    slot_id: UUID | None
    sequence: int | None
    revision: int | None
    channel_sequence: int
    slot_max_time: int | None = None
    payments: tuple[Payment, ...] = ()
    tx_hash: str | None = None
    max_time: int | None = None
    unsigned_xdr: str | None = field(default=None, repr=False)
    signed_xdr: str | None = field(default=None, repr=False)
    sent_ledger: int | None = None
    checked_ledger: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A transaction that was built and hashed once. ``fee`` and ``fee_cap`` are stroops for the whole."""

    tx_hash: str
    unsigned_xdr: str = field(repr=False)
    max_time: int
    sequence: int
    fee: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotView:
    """A slot and every digest that was ever built on it, oldest first."""

    slot_id: UUID
    account: str
    sequence: int
    digests: tuple[tuple[int, str], ...]
    """(attempt id, transaction hash)"""


@dataclass(frozen=True, slots=True)
class LedgerMoment:
    """A closed ledger: number and close time in Unix seconds."""

    sequence: int
    close_time: int


@dataclass(frozen=True, slots=True)
class FeeStats:
    """What classic operations bid lately, in stroops for each operation, by percentile."""

    p50: int
    p90: int
    p99: int


@dataclass(frozen=True, slots=True)
class AccountQuery:
    """Which account, and which of its trustlines."""

    account: str
    assets: frozenset[ChainAsset] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFacts:
    """A trustline: ``spendable`` and ``room`` are stroops after liabilities."""

    spendable: int
    room: int
    authorized: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """An account: ``spendable`` is native stroops above reserve and liabilities."""

    sequence: int
    spendable: int
    memo_required: bool
    lines: Mapping[ChainAsset, LineFacts]


@dataclass(frozen=True, slots=True)
class AccountsRead:
    """Accounts as of a ledger that is not older than ``ledger``; one that is missing does not exist."""

    ledger: int
    accounts: Mapping[str, AccountFacts]


class SendStatus(StrEnum):
    """What ``sendTransaction`` answered. None of them is an outcome."""

    PENDING = "PENDING"
    DUPLICATE = "DUPLICATE"
    TRY_AGAIN_LATER = "TRY_AGAIN_LATER"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class SendAnswer:
    """The answer to a send; ``code`` is the transaction result code's name where one came with an ERROR."""

    status: SendStatus
    latest: LedgerMoment
    code: str | None = None


class LookUpStatus(StrEnum):
    """What ``getTransaction`` answered."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    NOT_FOUND = "NOT_FOUND"


@dataclass(frozen=True, slots=True)
class OperationResult:
    """The result of one operation: ``operation`` is the name of its ``OperationResultCode``, ``inner`` of its own
    code where it was run.
    """

    operation: str
    inner: str | None


@dataclass(frozen=True, slots=True)
class TxResult:
    """A decoded ``TransactionResult``: fee charged in stroops, code name, results by operation where it has them."""

    fee_charged: int
    code: str
    operations: tuple[OperationResult, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFacts:
    """A payment operation as the ledger has it; ``destination`` is a G or M address, ``stroops`` ten-millionths."""

    source: str
    destination: str
    asset: ChainAsset
    stroops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TxContents:
    """What a transaction on the ledger is: its slot, its text memo (None for none, and for memos of another kind a
    text that no payment has), and each operation, None where it is no payment.
    """

    source: str
    sequence: int
    memo: str | None
    payments: tuple[PaymentFacts | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """A transaction looked up by its hash. ``oldest`` is the first ledger that the answering node remembers, closed at
    ``oldest_time`` (Unix seconds) where the node says that; ``contents`` is what it holds, where the node gave its envelope.
    """

    status: LookUpStatus
    latest: LedgerMoment
    oldest: int
    ledger: int | None = None
    closed_at: datetime | None = None
    result_xdr: str | None = field(default=None, repr=False)
    result: TxResult | None = None
    contents: TxContents | None = field(default=None, repr=False)
    oldest_time: int | None = None


STELLAR_DECIMALS = 7
"""Every amount on Stellar is an int64 of ten-millionths, whatever the asset (stellar-xdr: ``Int64 amount``)."""


STROOPS_MAX = 2**63 - 1


def whole_minor(*, stroops: int, decimals: int) -> int:
    """Ten-millionths in minor units of an asset with this number of decimals; what is less than one unit is left out."""
    shift = STELLAR_DECIMALS - decimals
    return stroops // int(10**shift) if shift >= 0 else stroops * int(10**-shift)


def stroops_of(*, amount: Amount) -> int:
    """The amount in ten-millionths.

    Raises:
        InexactAmount: it is not positive, has more than seven decimals that matter, or exceeds an int64.
    """
    if amount.minor <= 0:
        raise InexactAmount(f"{amount} {amount.asset.code} is no amount to pay")
    shift = STELLAR_DECIMALS - amount.asset.decimals
    if shift >= 0:
        stroops = amount.minor * int(10**shift)
    else:
        stroops, rest = divmod(amount.minor, int(10**-shift))
        if rest:
            raise InexactAmount(f"{amount} {amount.asset.code} has more than {STELLAR_DECIMALS} decimals")
    if stroops > STROOPS_MAX:
        raise InexactAmount(f"{amount} {amount.asset.code} exceeds what a Stellar amount can hold")
    return stroops


def stroops_text(*, stroops: int) -> str:
    """Ten-millionths as the decimal text that Stellar's libraries take."""
    whole, fraction = divmod(stroops, 10**STELLAR_DECIMALS)
    return f"{whole}.{fraction:07}"


def split_fee(*, fee: int, items: int) -> list[int]:
    """A transaction's fee in stroops, shared by its items; the parts sum to the whole."""
    share, rest = divmod(fee, items)
    return [share + (1 if index < rest else 0) for index in range(items)]
