"""Transfers as their player and operators read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, NamedTuple
from uuid import UUID

from prizewire_rewards.ledger.domain.accounts import TransferType
from prizewire_rewards.wallets.domain.statuses import Status


class Category(StrEnum):
    """The kinds of history entries that earlier systems name."""

    CREDIT = "credit"
    DEBIT = "debit"
    REWARD = "reward"
    ENTRY_FEE = "entryFee"
    PAYOUT = "payout"
    REFUND = "refund"
    TOPUP = "topup"
    ORGANIZER_FEE = "organizerFee"
    PLATFORM_FEE = "platformFee"


CATEGORY_OF: Final[Mapping[TransferType, Category]] = {
    TransferType.CAMPAIGN_FUNDED: Category.CREDIT,
    TransferType.PRIZE_RESERVED: Category.REWARD,
    TransferType.PRIZE_UNCLAIMED: Category.REWARD,
    TransferType.PRIZE_PENDING: Category.REWARD,
    TransferType.PRIZE_CREDITED: Category.REWARD,
    TransferType.PRIZE_MATURED: Category.REWARD,
    TransferType.PRIZE_REVERSED: Category.DEBIT,
    TransferType.PRIZE_RELEASED: Category.REWARD,
    TransferType.CAMPAIGN_WITHDRAWN: Category.DEBIT,
    TransferType.CLAIM_OPENED: Category.REWARD,
    TransferType.CLAIM_PAID: Category.REWARD,
    TransferType.CLAIM_EXPIRED: Category.DEBIT,
    TransferType.CLAIM_REJECTED: Category.DEBIT,
    TransferType.PLATFORM_FEE: Category.PLATFORM_FEE,
    TransferType.ORGANIZER_FEE: Category.ORGANIZER_FEE,
    TransferType.PLATFORM_FEE_REVERSED: Category.DEBIT,
    TransferType.ORGANIZER_FEE_REVERSED: Category.DEBIT,
    TransferType.RECEIVABLE_OPENED: Category.DEBIT,
    TransferType.RECEIVABLE_RECOVERED: Category.DEBIT,
    TransferType.RECEIVABLE_SETTLED: Category.CREDIT,
    TransferType.RECEIVABLE_WRITTEN_OFF: Category.CREDIT,
    TransferType.RECEIVABLE_RESTORED: Category.DEBIT,
    TransferType.ENTRY_FEE_HELD: Category.ENTRY_FEE,
    TransferType.ENTRY_FEE_REFUNDED: Category.REFUND,
    TransferType.ENTRY_FEE_EARNED: Category.ENTRY_FEE,
    TransferType.ENTRY_FEE_REVERSED: Category.REFUND,
    TransferType.ENTRY_FEE_WITHDRAWN: Category.DEBIT,
    TransferType.FEE_WITHDRAWN: Category.DEBIT,
    TransferType.PAYOUT_REQUESTED: Category.PAYOUT,
    TransferType.PAYOUT_PAID: Category.PAYOUT,
    TransferType.PAYOUT_GIVEN_BACK: Category.REFUND,
    TransferType.PAYOUT_RETURNED: Category.REFUND,
    TransferType.PAYOUT_FEE: Category.PAYOUT,
    TransferType.RAIL_FEE: Category.DEBIT,
    TransferType.TOPUP_CREDITED: Category.TOPUP,
    TransferType.TOPUP_REVERSED: Category.DEBIT,
    TransferType.OPENING_BALANCE: Category.CREDIT,
    TransferType.FUNDING_ADDED: Category.CREDIT,
    TransferType.FUNDING_WITHDRAWN: Category.DEBIT,
}


def types_of(name: str) -> frozenset[str] | None:
    """The transfer types that a filter means: one type by its own name, or all of a category; None if neither."""
    found = frozenset(type_ for type_ in CATEGORY_OF if type_ == name) or frozenset(
        type_ for type_, category in CATEGORY_OF.items() if category == name
    )
    return found or None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletBalance:
    """A player's money in one asset. ``held`` are prizes that are theirs only once an operator has released them, or
    they have claimed them; ``lifetime_earnings`` is what was credited of all prizes that ever became final. ``short`` is
    what prizes wait for because no money was there for it, ``owed`` what the player still owes.
    """

    asset: str
    winnings: int
    topup: int
    pending: int
    held: int
    payout_pending: int
    lifetime_earnings: int
    short: int
    owed: int


class PayoutFee(NamedTuple):
    """A fee of a payout, as decimal text, and who bears it: ``player`` (taken from the amount by a rule of payouts),
    ``recipient`` (taken from it by the rail) or ``platform`` (the player is charged nothing).
    """

    asset: str
    amount: str
    borne_by: Literal["player", "recipient", "platform"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutAmounts:
    """What a payout's request came to: its own ``fee`` in minor units, what the ``rail`` charged once it is paid, and
    whether it ``ended`` without effect, which costs nothing, and with which ``code``.
    """

    fee: int
    rail: PayoutFee | None
    ended: bool
    code: str | None = None


class MoneyIn(NamedTuple):
    """The record of money that came in: the bank's ``reference``, who booked it, and the id of the earlier transfer of
    the same reference that it ``repeats``, if it does.
    """

    reference: str
    booked_by: str
    repeats: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One transfer, with the names of its accounts and what became of it; of a payout's request, with its fees; of
    money that came in, with its record.
    """

    seq: int
    id: UUID
    group: UUID
    type: str
    asset: str
    amount: int
    debit_kind: str
    debit_owner: str
    credit_kind: str
    credit_owner: str
    cause: str
    correlation_id: str
    at: datetime
    status: Status
    payout: PayoutAmounts | None = None
    money_in: MoneyIn | None = None


class Position(NamedTuple):
    """Where an entry stands in a history: by its time, then by its number."""

    at: datetime
    seq: int


SCAN_MAX: Final = 2_000
"""Entries of each account, or of the whole ledger, among which one page of a filtered history is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which transfers to list, newest first: only those after ``before`` in that order. ``player`` limits to that
    player's wallets, and then ``side`` to their credits or debits. Entries of some ``types`` are looked for among the
    next ``scan`` of each account; a ``status`` comes with the types that can have it.
    """

    limit: int
    before: Position | None = None
    offset: int = 0
    scan: int = SCAN_MAX
    player: str | None = None
    types: frozenset[str] | None = None
    status: Status | None = None
    asset: str | None = None
    side: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPage:
    """A page of a history. ``resume`` is where to go on, None at the end; a page may be short, even empty, before it."""

    entries: Sequence[HistoryEntry]
    resume: Position | None
