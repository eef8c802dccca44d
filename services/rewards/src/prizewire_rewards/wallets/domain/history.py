"""Transfers as players and operators see them."""

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
    TransferType.PAYOUT_EXCHANGED: Category.PAYOUT,
    TransferType.PAYOUT_EXCHANGE_REVERSED: Category.REFUND,
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


OF_DEBTS: Final = frozenset(
    {
        TransferType.RECEIVABLE_OPENED,
        TransferType.RECEIVABLE_RECOVERED,
        TransferType.RECEIVABLE_SETTLED,
        TransferType.RECEIVABLE_WRITTEN_OFF,
        TransferType.RECEIVABLE_RESTORED,
    }
)
"""The types whose transfers open or change a debt of a player."""


def types_of(name: str) -> frozenset[str] | None:
    """The transfer types of a filter: one type by its name, or all types of a category; None for any other name."""
    found = frozenset(type_ for type_ in CATEGORY_OF if type_ == name) or frozenset(
        type_ for type_, category in CATEGORY_OF.items() if category == name
    )
    return found or None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletBalance:
    """A player's money in one asset (minor units).

    ``held`` is the sum of prizes that wait for a release or a claim. ``lifetime_earnings`` is the sum that was credited of
    final prizes. ``short`` is what prizes still lack because a pool had no money, ``owed`` what the player owes.
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
    """The costs of a payout: its own ``fee`` (minor units), and the fee of the ``rail`` once it is paid. ``ended``: the payout
    ended without payment, with the ``code``, and costs nothing. ``exchanged``: it pays in another asset than the entry's.
    """

    fee: int
    rail: PayoutFee | None
    ended: bool
    code: str | None = None
    exchanged: bool = False


class MoneyIn(NamedTuple):
    """The record of money that came in: the payment's ``reference``, the person who booked it, and the id of the earlier
    transfer under the same reference that it ``repeats``, if any.
    """

    reference: str
    booked_by: str
    repeats: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One transfer with its accounts and its status. ``payout`` is set for a payout request, ``money_in`` for money that came
    in from outside.
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

    @property
    def debt(self) -> UUID | None:
        """The receivable that the transfer opens or changes, which its cause names. None for all other transfers."""
        kind, *rest = self.cause.split("/")
        if self.type not in OF_DEBTS or kind != "receivable" or not rest:
            return None
        return UUID(rest[0])


class Position(NamedTuple):
    """The position of an entry in a history: its time, then its sequence number."""

    at: datetime
    seq: int


SCAN_MAX: Final = 2_000
"""The most entries of each account, or of the whole ledger, that one page of a filtered history reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """The transfers to list, newest first, older than ``before``.

    ``player`` selects the wallets of a player, and ``side`` their credits or debits. With ``types``, a page reads the next
    ``scan`` entries of each account. ``status`` is given together with the types that can have it.
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
    """A page of a history. ``resume`` is the position of the next page, None at the end. Before the end a page may be short or
    empty.
    """

    entries: Sequence[HistoryEntry]
    resume: Position | None
