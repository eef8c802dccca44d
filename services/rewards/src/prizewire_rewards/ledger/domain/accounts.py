"""The double-entry ledger: kinds of accounts, allowed transfers, and the effect of transfers on balances.

A transfer takes ``amount`` from its debit account and gives it to its credit account; a balance is credits minus
debits. Over all accounts of an asset the balances sum to zero. Sources of money (``external_in``, a player's
``receivable``) are at or below zero; accounts that hold money or where it ends are at or above zero.

The database holds a literal copy of ``KINDS`` and ``EDGES`` and refuses everything else.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID


class Bound(StrEnum):
    """The bound of a balance."""

    FLOOR = "floor"
    """Never below zero; the balance is stored with the account and changed under its lock."""
    CEILING = "ceiling"
    """Never above zero; stored and locked in the same way."""
    NONE = "none"
    """Unbounded; no balance is stored, so no transaction waits for a lock: postings are appended and rolled up later."""


class Kind(StrEnum):
    """The kinds of accounts. The part after a colon is the bucket of a wallet. Each bucket is a kind of its own in the
    allowlist, so that the database keeps the buckets apart.
    """

    EXTERNAL_IN = "external_in"
    """The source of funding. Owner: ``world``."""
    EXTERNAL_OUT = "external_out"
    """The destination of money that leaves without a payout. Owner: ``world``."""
    POOL = "pool"
    """The money that a campaign can still grant. Owner: the campaign id."""
    RESERVED = "reserved"
    """The money that a round has taken from its pool and not paid yet. Owner: the round id."""
    WINNINGS = "wallet:winnings"
    """A player's own money, which can be paid out. Owner: the player."""
    TOPUP = "wallet:topup"
    """Money that a player paid in: it pays entry fees and goes back only to its source. Owner: the player."""
    PENDING = "wallet:pending"
    """Prizes that are not final. Owner: the player."""
    CLAIMABLE = "claimable"
    """Final prizes that their winners have not claimed yet. Owner: the campaign id."""
    PAYOUT_PENDING = "payout_pending"
    """The money of one payout request until its end. Owner: the payout id."""
    FEES = "fees"
    """Fees of prizes and payouts. They leave, or go back to the reserve of their own round where it was disowned. Owner:
    ``platform`` or ``organizer``."""
    ESCROW_WINNINGS = "entry_fee_escrow:winnings"
    """An entry fee paid from winnings, until its match counts. Owner: the entry's id."""
    ESCROW_TOPUP = "entry_fee_escrow:topup"
    """An entry fee paid from a top-up, until its match counts. Owner: the entry's id."""
    ENTRY_FEES = "entry_fees"
    """Earned entry fees: revenue. They leave, and never go to a pool; they go back to their player only where the entry's
    round was disowned. Owner: ``platform``."""
    FUNDING = "funding"
    """A named account for operators' payouts. Owner: its name."""
    RECEIVABLE = "receivable"
    """The debts of a player (below zero), recovered from their next credits. Owner: the player."""
    WRITE_OFF = "write_off"
    """Written-off receivables, less their restored part. Owner: ``platform``."""
    TREASURY = "treasury"
    """The money that a rail has paid out. Owner: the rail's name."""
    RAIL_FEES = "rail_fees"
    """The fees that rails charged the platform. Owner: the rail's name."""
    FX = "fx"
    """What one payout exchanged between assets at its quoted rate: above zero in the debited asset, below zero in the paid one.
    Owner: the payout id."""
    SUSPENSE = "suspense"
    """Money that waits for an explanation. Owner: its name."""
    CLEARING = "clearing"
    """The counterpart of receivables: debts that are not recovered yet. Owner: ``receivables``."""


KINDS: Final[Mapping[Kind, Bound]] = {
    Kind.EXTERNAL_IN: Bound.NONE,
    Kind.EXTERNAL_OUT: Bound.NONE,
    Kind.POOL: Bound.FLOOR,
    Kind.RESERVED: Bound.FLOOR,
    Kind.WINNINGS: Bound.FLOOR,
    Kind.TOPUP: Bound.FLOOR,
    Kind.PENDING: Bound.FLOOR,
    Kind.CLAIMABLE: Bound.FLOOR,
    Kind.PAYOUT_PENDING: Bound.FLOOR,
    Kind.FEES: Bound.NONE,
    Kind.ESCROW_WINNINGS: Bound.FLOOR,
    Kind.ESCROW_TOPUP: Bound.FLOOR,
    Kind.ENTRY_FEES: Bound.NONE,
    Kind.FUNDING: Bound.FLOOR,
    Kind.RECEIVABLE: Bound.CEILING,
    Kind.WRITE_OFF: Bound.NONE,
    Kind.TREASURY: Bound.NONE,
    Kind.RAIL_FEES: Bound.NONE,
    Kind.FX: Bound.NONE,
    Kind.SUSPENSE: Bound.NONE,
    Kind.CLEARING: Bound.NONE,
}


class TransferType(StrEnum):
    """The type of a transfer: why money moved."""

    CAMPAIGN_FUNDED = "campaign_funded"
    PRIZE_RESERVED = "prize_reserved"
    PRIZE_UNCLAIMED = "prize_unclaimed"
    PRIZE_PENDING = "prize_pending"
    PRIZE_CREDITED = "prize_credited"
    PRIZE_MATURED = "prize_matured"
    PRIZE_REVERSED = "prize_reversed"
    PRIZE_RELEASED = "prize_released"
    CAMPAIGN_WITHDRAWN = "campaign_withdrawn"
    CLAIM_OPENED = "claim_opened"
    CLAIM_PAID = "claim_paid"
    CLAIM_EXPIRED = "claim_expired"
    CLAIM_REJECTED = "claim_rejected"
    PLATFORM_FEE = "platform_fee"
    ORGANIZER_FEE = "organizer_fee"
    PLATFORM_FEE_REVERSED = "platform_fee_reversed"
    ORGANIZER_FEE_REVERSED = "organizer_fee_reversed"
    RECEIVABLE_OPENED = "receivable_opened"
    RECEIVABLE_RECOVERED = "receivable_recovered"
    RECEIVABLE_SETTLED = "receivable_settled"
    RECEIVABLE_WRITTEN_OFF = "receivable_written_off"
    RECEIVABLE_RESTORED = "receivable_restored"
    ENTRY_FEE_HELD = "entry_fee_held"
    ENTRY_FEE_REFUNDED = "entry_fee_refunded"
    ENTRY_FEE_EARNED = "entry_fee_earned"
    ENTRY_FEE_REVERSED = "entry_fee_reversed"
    ENTRY_FEE_WITHDRAWN = "entry_fee_withdrawn"
    FEE_WITHDRAWN = "fee_withdrawn"
    PAYOUT_REQUESTED = "payout_requested"
    PAYOUT_EXCHANGED = "payout_exchanged"
    PAYOUT_EXCHANGE_REVERSED = "payout_exchange_reversed"
    PAYOUT_PAID = "payout_paid"
    PAYOUT_GIVEN_BACK = "payout_given_back"
    PAYOUT_RETURNED = "payout_returned"
    PAYOUT_FEE = "payout_fee"
    RAIL_FEE = "rail_fee"
    TOPUP_CREDITED = "topup_credited"
    TOPUP_REVERSED = "topup_reversed"
    OPENING_BALANCE = "opening_balance"
    FUNDING_ADDED = "funding_added"
    FUNDING_WITHDRAWN = "funding_withdrawn"


class Edge(NamedTuple):
    """One allowed kind of transfer. ``redeemable``: only for redeemable assets."""

    type: TransferType
    debit: Kind
    credit: Kind
    redeemable: bool


REDEEMABLE_ONLY: Final = True
ANY_ASSET: Final = False

EDGES: Final[tuple[Edge, ...]] = (
    Edge(TransferType.CAMPAIGN_FUNDED, Kind.EXTERNAL_IN, Kind.POOL, ANY_ASSET),
    Edge(TransferType.PRIZE_RESERVED, Kind.POOL, Kind.RESERVED, ANY_ASSET),
    Edge(TransferType.PRIZE_UNCLAIMED, Kind.RESERVED, Kind.POOL, ANY_ASSET),
    Edge(TransferType.PRIZE_PENDING, Kind.RESERVED, Kind.PENDING, ANY_ASSET),
    Edge(TransferType.PRIZE_CREDITED, Kind.RESERVED, Kind.WINNINGS, ANY_ASSET),
    Edge(TransferType.PRIZE_MATURED, Kind.PENDING, Kind.WINNINGS, ANY_ASSET),
    Edge(TransferType.PRIZE_REVERSED, Kind.PENDING, Kind.RESERVED, ANY_ASSET),
    Edge(TransferType.PRIZE_REVERSED, Kind.WINNINGS, Kind.RESERVED, ANY_ASSET),
    Edge(TransferType.PRIZE_REVERSED, Kind.CLAIMABLE, Kind.RESERVED, REDEEMABLE_ONLY),
    Edge(TransferType.PRIZE_RELEASED, Kind.RESERVED, Kind.POOL, ANY_ASSET),
    Edge(TransferType.CAMPAIGN_WITHDRAWN, Kind.POOL, Kind.EXTERNAL_OUT, ANY_ASSET),
    Edge(TransferType.CLAIM_OPENED, Kind.RESERVED, Kind.CLAIMABLE, REDEEMABLE_ONLY),
    Edge(TransferType.CLAIM_OPENED, Kind.PENDING, Kind.CLAIMABLE, REDEEMABLE_ONLY),
    Edge(TransferType.CLAIM_PAID, Kind.CLAIMABLE, Kind.WINNINGS, REDEEMABLE_ONLY),
    Edge(TransferType.CLAIM_EXPIRED, Kind.CLAIMABLE, Kind.POOL, REDEEMABLE_ONLY),
    Edge(TransferType.CLAIM_REJECTED, Kind.CLAIMABLE, Kind.POOL, REDEEMABLE_ONLY),
    Edge(TransferType.PLATFORM_FEE, Kind.RESERVED, Kind.FEES, ANY_ASSET),
    Edge(TransferType.ORGANIZER_FEE, Kind.RESERVED, Kind.FEES, ANY_ASSET),
    Edge(TransferType.ORGANIZER_FEE, Kind.RESERVED, Kind.WINNINGS, ANY_ASSET),
    Edge(TransferType.PLATFORM_FEE_REVERSED, Kind.FEES, Kind.RESERVED, ANY_ASSET),
    Edge(TransferType.ORGANIZER_FEE_REVERSED, Kind.FEES, Kind.RESERVED, ANY_ASSET),
    Edge(TransferType.ORGANIZER_FEE_REVERSED, Kind.WINNINGS, Kind.RESERVED, ANY_ASSET),
    Edge(TransferType.RECEIVABLE_OPENED, Kind.RECEIVABLE, Kind.CLEARING, ANY_ASSET),
    Edge(TransferType.RECEIVABLE_RECOVERED, Kind.WINNINGS, Kind.POOL, ANY_ASSET),
    Edge(TransferType.RECEIVABLE_RECOVERED, Kind.WINNINGS, Kind.EXTERNAL_OUT, ANY_ASSET),
    Edge(TransferType.RECEIVABLE_RECOVERED, Kind.TOPUP, Kind.EXTERNAL_OUT, REDEEMABLE_ONLY),
    Edge(TransferType.RECEIVABLE_SETTLED, Kind.CLEARING, Kind.RECEIVABLE, ANY_ASSET),
    Edge(TransferType.RECEIVABLE_WRITTEN_OFF, Kind.WRITE_OFF, Kind.RECEIVABLE, ANY_ASSET),
    Edge(TransferType.RECEIVABLE_RESTORED, Kind.CLEARING, Kind.WRITE_OFF, ANY_ASSET),
    Edge(TransferType.ENTRY_FEE_HELD, Kind.WINNINGS, Kind.ESCROW_WINNINGS, ANY_ASSET),
    Edge(TransferType.ENTRY_FEE_HELD, Kind.TOPUP, Kind.ESCROW_TOPUP, ANY_ASSET),
    Edge(TransferType.ENTRY_FEE_REFUNDED, Kind.ESCROW_WINNINGS, Kind.WINNINGS, REDEEMABLE_ONLY),
    Edge(TransferType.ENTRY_FEE_REFUNDED, Kind.ESCROW_TOPUP, Kind.TOPUP, REDEEMABLE_ONLY),
    Edge(TransferType.ENTRY_FEE_EARNED, Kind.ESCROW_WINNINGS, Kind.ENTRY_FEES, ANY_ASSET),
    Edge(TransferType.ENTRY_FEE_EARNED, Kind.ESCROW_TOPUP, Kind.ENTRY_FEES, ANY_ASSET),
    Edge(TransferType.ENTRY_FEE_REVERSED, Kind.ENTRY_FEES, Kind.WINNINGS, REDEEMABLE_ONLY),
    Edge(TransferType.ENTRY_FEE_REVERSED, Kind.ENTRY_FEES, Kind.TOPUP, REDEEMABLE_ONLY),
    Edge(TransferType.ENTRY_FEE_WITHDRAWN, Kind.ENTRY_FEES, Kind.EXTERNAL_OUT, ANY_ASSET),
    Edge(TransferType.FEE_WITHDRAWN, Kind.FEES, Kind.EXTERNAL_OUT, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_REQUESTED, Kind.WINNINGS, Kind.PAYOUT_PENDING, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_EXCHANGED, Kind.PAYOUT_PENDING, Kind.FX, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_EXCHANGED, Kind.FX, Kind.PAYOUT_PENDING, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_EXCHANGE_REVERSED, Kind.PAYOUT_PENDING, Kind.FX, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_EXCHANGE_REVERSED, Kind.FX, Kind.PAYOUT_PENDING, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_PAID, Kind.PAYOUT_PENDING, Kind.TREASURY, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_GIVEN_BACK, Kind.PAYOUT_PENDING, Kind.WINNINGS, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_RETURNED, Kind.TREASURY, Kind.WINNINGS, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_RETURNED, Kind.TREASURY, Kind.FX, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_RETURNED, Kind.FX, Kind.WINNINGS, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_REQUESTED, Kind.FUNDING, Kind.PAYOUT_PENDING, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_GIVEN_BACK, Kind.PAYOUT_PENDING, Kind.FUNDING, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_RETURNED, Kind.TREASURY, Kind.FUNDING, REDEEMABLE_ONLY),
    Edge(TransferType.PAYOUT_FEE, Kind.PAYOUT_PENDING, Kind.FEES, REDEEMABLE_ONLY),
    Edge(TransferType.RAIL_FEE, Kind.RAIL_FEES, Kind.TREASURY, REDEEMABLE_ONLY),
    Edge(TransferType.TOPUP_CREDITED, Kind.EXTERNAL_IN, Kind.TOPUP, REDEEMABLE_ONLY),
    Edge(TransferType.TOPUP_REVERSED, Kind.TOPUP, Kind.EXTERNAL_OUT, REDEEMABLE_ONLY),
    Edge(TransferType.OPENING_BALANCE, Kind.EXTERNAL_IN, Kind.WINNINGS, ANY_ASSET),
    Edge(TransferType.OPENING_BALANCE, Kind.EXTERNAL_IN, Kind.TOPUP, REDEEMABLE_ONLY),
    Edge(TransferType.FUNDING_ADDED, Kind.EXTERNAL_IN, Kind.FUNDING, REDEEMABLE_ONLY),
    Edge(TransferType.FUNDING_WITHDRAWN, Kind.FUNDING, Kind.EXTERNAL_OUT, REDEEMABLE_ONLY),
)

OF_DISOWNED: Final = frozenset(
    {
        TransferType.PLATFORM_FEE_REVERSED,
        TransferType.ORGANIZER_FEE_REVERSED,
        TransferType.ENTRY_FEE_REVERSED,
    }
)
"""Types that take the fees of a disowned round back. The accounts of fees mix the money of all rounds, so the edges alone
do not show the source of a fee: the database allows each of these only for a round that two admins disowned, and an entry's
fee only to the bucket that paid it.
"""
EDGE_OF: Final[Mapping[tuple[TransferType, Kind, Kind], Edge]] = {
    (edge.type, edge.debit, edge.credit): edge for edge in EDGES
}


class Account(NamedTuple):
    """An account by its natural key. The meaning of ``owner`` depends on the kind."""

    kind: Kind
    owner: str
    asset: str


class Move(NamedTuple):
    """A transfer without an id yet. ``ordinal`` distinguishes the moves of one cause and type."""

    type: TransferType
    debit: Account
    credit: Account
    amount: int
    ordinal: int = 0


class Transfer(NamedTuple):
    """One posting: ``amount`` (minor units, above zero) from ``debit`` to ``credit``.

    ``cause`` names what brought it about. The transfers of one cause in one transaction are a group.
    """

    id: UUID
    type: TransferType
    debit: Account
    credit: Account
    amount: int
    cause: str
    correlation_id: str


def deltas(moves: Iterable[Move | Transfer]) -> dict[Account, int]:
    """The change of each account's balance by all moves together; accounts without a change are left out."""
    found: defaultdict[Account, int] = defaultdict(int)
    for move in moves:
        found[move.debit] -= move.amount
        found[move.credit] += move.amount
    return {account: delta for account, delta in found.items() if delta}


def reachable(*, start: Kind, edges: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Every kind that money can reach from ``start`` over any number of ``(debit, credit)`` edges."""
    onward: defaultdict[str, set[str]] = defaultdict(set)
    for debit, credit in edges:
        onward[debit].add(credit)
    seen: set[str] = set()
    waiting = [str(start)]
    while waiting:
        for kind in onward[waiting.pop()] - seen:
            seen.add(kind)
            waiting.append(kind)
            yield kind
