"""What people get to see: rows for reading, in minor units. Nothing is decided from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from prizewire_rewards.domain.campaign_settings import CampaignSettings
from prizewire_rewards.domain.ledger import TransferType
from prizewire_rewards.domain.states import PayoutState, RewardState
from prizewire_rewards.domain.statuses import Status


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
class CampaignView:
    """A campaign with its amounts. ``reserved`` is that of rounds that are not final; what final ones hold back is in
    the balance sheet.
    """

    id: UUID
    name: str
    asset: str
    delivery: str
    state: str
    funded: int
    available: int
    reserved: int
    granted: int
    withdrawn: int
    settings: CampaignSettings
    settings_version: int
    unfunded_rounds: int
    created_at: datetime


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
class Entry:
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


class PrizePosition(NamedTuple):
    """Where a prize stands in a listing: by when its round was settled, then by round and line."""

    settled_at: datetime
    round_id: UUID
    line: int


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

    entries: Sequence[Entry]
    resume: Position | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutView:
    """A payout request as its player sees it."""

    id: UUID
    player: str | None
    asset: str
    amount: int
    fee: int
    state: PayoutState
    method_id: UUID | None
    campaign: UUID | None
    round_id: UUID | None
    correlation_id: str
    requested_at: datetime
    changed_at: datetime
    outcome: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingView:
    """A funding account: what it holds, and what its open payouts hold."""

    name: str
    asset: str
    balance: int
    payout_pending: int
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivableView:
    """What a player owes or owed."""

    id: UUID
    player: str
    asset: str
    amount: int
    open: int
    recovered: int
    written_off: int
    lifted: int
    restored: int
    campaign: UUID | None
    reference: str
    correlation_id: str
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardView:
    """A prize, and where its ``amount`` is: ``credited`` to winnings; ``waiting``, which means pending, to be claimed
    or held; ``short``, which means that no money was there for it yet. The three make the amount, and are zero once the
    prize was taken back, expired or was rejected. ``owed`` is what its player still owes of what was given too much.
    """

    id: UUID
    round_id: UUID
    line: int
    player: str
    place: int
    asset: str
    amount: int
    credited: int
    waiting: int
    short: int
    owed: int
    state: RewardState
    note: str | None
    payout_id: UUID | None
    transfer_id: UUID | None
    correlation_id: str
    settled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSums:
    """What is booked of a round: its head as it stands, and number and sum of its prizes that were not taken back."""

    round_id: UUID
    settlement_version: int
    state: str
    final: bool
    campaign: UUID
    asset: str
    gross: int
    prizes: int
    prizes_total: int
    settled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedRound:
    """The head of a booked round as it stands, and when it last changed."""

    round_id: UUID
    settlement_version: int
    state: str
    final: bool
    campaign: UUID
    asset: str
    gross: int
    platform_fee: int
    organizer_fee: int
    organizer_player: str | None
    unclaimed: int
    digest: str
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPayout:
    """A payout that was asked for, as it stands. ``amount`` is what its payee gets: the fee is taken off."""

    payout_id: UUID
    player: str | None
    asset: str
    amount: int
    state: str
    requested_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceSheet:
    """Where a campaign's money is by the ledger: ``available``, ``reserved``, ``claimable`` and ``payout_pending`` are
    balances, all others sums of the transfers that its rounds and its directly requested payouts caused. ``funded`` is the
    sum of all others but ``unfunded``, which is owed, not held.

    ``wallets`` is what those transfers put into wallets, pending prizes and organizers' fees included, and did not
    take out of them again. What players do with it afterwards, such as a payout that they ask for themselves, is not
    followed: a wallet mixes its sources, so the ledger cannot say whose money it was. What a correction could not take
    back counts as in a wallet until it has been recovered from its player. ``claimable`` waits to be claimed.
    ``organizer_fees`` and ``platform_fees`` are those that were kept in accounts
    of fees; ``paid`` is what rails paid less what came back from them.
    """

    asset: str
    funded: int
    available: int
    withdrawn: int
    reserved: int
    claimable: int
    platform_fees: int
    organizer_fees: int
    wallets: int
    payout_pending: int
    paid: int
    unfunded: int


SHEET_AMOUNTS: Final = (
    "funded",
    "available",
    "withdrawn",
    "reserved",
    "claimable",
    "platform_fees",
    "organizer_fees",
    "wallets",
    "payout_pending",
    "paid",
    "unfunded",
)
"""The amounts of a balance sheet, in the order in which they are shown."""
