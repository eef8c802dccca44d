"""Entries into rounds: which bucket pays the fee, and where the fee goes when the round ends."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_money import AssetRegistry
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import PLATFORM, Event, step

NOT_REFUNDABLE: Final = "not_refundable"
"""The code of an entry that a void does not refund: it was paid in points."""


class EntryState(StrEnum):
    """The state of an entry. The values are those of events and HTTP."""

    PAID = "paid"
    REFUSED = "refused"
    """Nothing was taken."""
    REFUNDED = "refunded"
    EARNED = "earned"
    CLOSED = "closed"
    """Its round was voided, and its asset is never refunded: the fee is revenue."""


ENTRY_START: Final = frozenset({EntryState.PAID, EntryState.REFUSED})


ENTRY_EDGES: Final[Mapping[tuple[EntryState, EntryState], str]] = {
    (EntryState.REFUSED, EntryState.PAID): "repeated while its round was open, and the wallet covered it",
    (EntryState.PAID, EntryState.EARNED): "its round is final",
    (EntryState.PAID, EntryState.REFUNDED): "its round was voided",
    (EntryState.PAID, EntryState.CLOSED): "its round was voided, and points are never refunded",
    (EntryState.EARNED, EntryState.REFUNDED): "its round was disowned",
}


class EntryEnd(StrEnum):
    """What happens with entries at the end of their round."""

    EARNED = "earned"
    """The round is final: fees are revenue."""
    REFUNDED = "refunded"
    """The round was voided or disowned: fees go back to the buckets that paid them, unless they were paid in points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRound:
    """A round that players enter, as rewards knows it.

    ``asset`` and ``fee`` are None where the round has no fee. ``open``: players may enter by HTTP. ``end`` is set once; only
    a disownment changes ``earned`` to ``refunded``. ``closing``: the round has ended, and the job still has to close its
    entries.
    """

    round_id: UUID
    match_id: str = ""
    match_source: str = ""
    competition: str = ""
    correlation_id: str = ""
    asset: str | None = None
    fee: int | None = None
    open: bool = True
    end: EntryEnd | None = None
    closing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One player's entry into one round.

    ``from_topup`` and ``from_winnings`` add up to ``amount`` where the entry was paid, and are zero where it was refused.
    ``code`` says why it was refused or closed. ``entered_at`` is the time of the first request. ``version`` counts its
    events.
    """

    id: UUID
    round_id: UUID
    match_id: str
    match_source: str
    player: str
    asset: str
    amount: int
    state: EntryState
    correlation_id: str
    entered_at: datetime
    from_topup: int = 0
    from_winnings: int = 0
    code: str | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedEntry:
    """An entry with the time of its last change, for the comparison with settlement."""

    entry_id: UUID
    round_id: UUID
    player: str
    asset: str
    amount: int
    state: EntryState
    changed_at: datetime


def split_fee(*, amount: int, topup: int, winnings: int) -> tuple[int, int] | None:
    """The parts of a fee that top-ups and winnings pay; None where both together do not cover it.

    ``topup`` and ``winnings`` are the balances. Top-ups pay first, because they can pay nothing else.
    """
    if topup + winnings < amount:
        return None
    first = min(topup, amount)
    return first, amount - first


def _buckets(entry: Entry) -> list[tuple[int, Account, Account]]:
    """(amount, wallet, escrow) of each bucket that paid."""
    owner = str(entry.id)
    parts = [
        (entry.from_topup, Kind.TOPUP, Kind.ESCROW_TOPUP),
        (entry.from_winnings, Kind.WINNINGS, Kind.ESCROW_WINNINGS),
    ]
    return [
        (amount, Account(wallet, entry.player, entry.asset), Account(escrow, owner, entry.asset))
        for amount, wallet, escrow in parts
        if amount
    ]


def held_moves(entry: Entry) -> list[Move]:
    """The moves of a paid entry's fee from the buckets into its escrow."""
    return [
        Move(TransferType.ENTRY_FEE_HELD, wallet, escrow, amount, ordinal)
        for ordinal, (amount, wallet, escrow) in enumerate(_buckets(entry))
    ]


def earned_moves(entry: Entry) -> list[Move]:
    """The moves of an escrow into revenue."""
    revenue = Account(Kind.ENTRY_FEES, PLATFORM, entry.asset)
    return [
        Move(TransferType.ENTRY_FEE_EARNED, escrow, revenue, amount, ordinal)
        for ordinal, (amount, _, escrow) in enumerate(_buckets(entry))
    ]


def refunded_moves(entry: Entry) -> list[Move]:
    """The moves of an escrow back to the buckets that paid it."""
    return [
        Move(TransferType.ENTRY_FEE_REFUNDED, escrow, wallet, amount, ordinal)
        for ordinal, (amount, wallet, escrow) in enumerate(_buckets(entry))
    ]


def reversed_moves(entry: Entry) -> list[Move]:
    """The moves of an earned fee back to the buckets that paid it: its round was disowned."""
    revenue = Account(Kind.ENTRY_FEES, PLATFORM, entry.asset)
    return [
        Move(TransferType.ENTRY_FEE_REVERSED, revenue, wallet, amount, ordinal)
        for ordinal, (amount, wallet, _) in enumerate(_buckets(entry))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEntry:
    """A round was opened, with its entry fee."""

    round: EntryRound


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseEntry:
    """Players may no longer enter a round by HTTP."""

    round_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterRound:
    """A player entered a round and owes its fee. ``late``: the round has ended already."""

    entry_id: UUID
    round: EntryRound
    player: str
    asset: str
    amount: int
    cause: str
    late: bool = False


EntryCommand = OpenEntry | CloseEntry | EnterRound


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryChanged(Event):
    """An entry changed its state."""

    entry: Entry
    cause: str | None = None


def close_entry(entry: Entry, *, end: EntryEnd | None, assets: AssetRegistry) -> tuple[Entry, list[Move]]:
    """The entry after the end of its round, and its moves. A fee in an asset that is not redeemable is not refunded."""
    refunds = end is EntryEnd.REFUNDED and assets[entry.asset].redeemable
    code = None
    if refunds:
        moves = reversed_moves(entry) if entry.state is EntryState.EARNED else refunded_moves(entry)
        state = EntryState.REFUNDED
    elif end is EntryEnd.REFUNDED:
        state, moves, code = EntryState.CLOSED, earned_moves(entry), NOT_REFUNDABLE
    else:
        state, moves = EntryState.EARNED, earned_moves(entry)
    state = step(edges=ENTRY_EDGES, was=entry.state, to=state)
    return replace(entry, state=state, code=code, version=entry.version + 1), moves
