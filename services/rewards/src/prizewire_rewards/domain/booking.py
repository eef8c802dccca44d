"""What a settled round, its finality, a credit and a payout's end move: pure lists of moves."""

from collections.abc import Iterable, MutableMapping
from typing import NamedTuple

from prizewire_rewards.domain.errors import Refused
from prizewire_rewards.domain.ledger import Account, Kind, Move, TransferType
from prizewire_rewards.domain.model import Line, Payout, Settlement

__all__ = [
    "Credit",
    "check_settlement",
    "credits_of",
    "finality_moves",
    "funding_move",
    "given_back_move",
    "net_receivable",
    "paid_moves",
    "requested_move",
    "reserved_moves",
    "returned_move",
    "source_of",
]

WORLD = "world"
PLATFORM = "platform"
ORGANIZER = "organizer"


class Credit(NamedTuple):
    """An amount that came into a player's winnings by the move ``ordinal`` of its cause."""

    account: Account
    amount: int
    ordinal: int


def check_settlement(settlement: Settlement, lines: Iterable[Line], *, digest: str) -> None:
    """Hold a whole settlement to its own figures.

    Raises:
        Refused: the lines are not those that were signed for, or the sums do not close.
    """
    lines = list(lines)
    if digest != settlement.digest or len(lines) != settlement.lines_total:
        raise Refused("digest_mismatch", f"{len(lines)} lines do not make the digest of the settlement")
    if [line.line for line in lines] != list(range(1, len(lines) + 1)):
        raise Refused("event_mismatch", "lines are not numbered from 1")
    if len({line.player for line in lines}) != len(lines):
        raise Refused("event_mismatch", "a player stands on two lines")
    if any(line.amount <= 0 for line in lines):
        raise Refused("event_mismatch", "a line has no amount")
    if settlement.gross != settlement.platform_fee + settlement.organizer_fee + settlement.net:
        raise Refused("event_mismatch", "gross is not the sum of fees and net")
    if settlement.net != sum(line.amount for line in lines) + settlement.unclaimed:
        raise Refused("event_mismatch", "net is not the sum of lines and unclaimed")


def reserved_moves(settlement: Settlement, lines: Iterable[Line]) -> list[Move]:
    """Take the gross prize from the pool, give each line its prize, and the unclaimed rest back.

    A final settlement's prizes are credited and its fees taken at once; else prizes are pending and fees stay
    reserved.
    """
    asset = settlement.asset
    pool = Account(Kind.POOL, str(settlement.campaign), asset)
    reserved = Account(Kind.RESERVED, str(settlement.round_id), asset)
    moves: list[Move] = []
    if settlement.gross:
        moves.append(Move(TransferType.PRIZE_RESERVED, pool, reserved, settlement.gross))
    type_, bucket = (
        (TransferType.PRIZE_CREDITED, Kind.WINNINGS)
        if settlement.final
        else (TransferType.PRIZE_PENDING, Kind.PENDING)
    )
    moves.extend(
        Move(type_, reserved, Account(bucket, line.player, asset), line.amount, line.line) for line in lines
    )
    if settlement.unclaimed:
        moves.append(Move(TransferType.PRIZE_UNCLAIMED, reserved, pool, settlement.unclaimed))
    if settlement.final:
        moves.extend(_fee_moves(settlement, reserved))
    return moves


def finality_moves(settlement: Settlement, lines: Iterable[Line]) -> list[Move]:
    """Make pending prizes payable and take the fees."""
    asset = settlement.asset
    moves = [
        Move(
            TransferType.PRIZE_MATURED,
            Account(Kind.PENDING, line.player, asset),
            Account(Kind.WINNINGS, line.player, asset),
            line.amount,
            line.line,
        )
        for line in lines
    ]
    moves.extend(_fee_moves(settlement, Account(Kind.RESERVED, str(settlement.round_id), asset)))
    return moves


def _fee_moves(settlement: Settlement, reserved: Account) -> list[Move]:
    asset = settlement.asset
    moves = []
    if settlement.platform_fee:
        kept = Account(Kind.FEES, PLATFORM, asset)
        moves.append(Move(TransferType.PLATFORM_FEE, reserved, kept, settlement.platform_fee))
    if settlement.organizer_fee:
        owner = settlement.organizer_player
        to = Account(Kind.WINNINGS, owner, asset) if owner else Account(Kind.FEES, ORGANIZER, asset)
        moves.append(Move(TransferType.ORGANIZER_FEE, reserved, to, settlement.organizer_fee))
    return moves


def credits_of(moves: Iterable[Move]) -> list[Credit]:
    """Every credit to winnings among the moves, in their order."""
    return [
        Credit(move.credit, move.amount, move.ordinal) for move in moves if move.credit.kind is Kind.WINNINGS
    ]


def net_receivable(credit: Credit, *, debts: MutableMapping[Account, int]) -> Move | None:
    """Take what the player owes from a credit, at most all of it. ``debts`` holds amounts above zero by the
    receivable's account, and is lowered by what was taken.
    """
    receivable = Account(Kind.RECEIVABLE, credit.account.owner, credit.account.asset)
    taken = min(debts.get(receivable, 0), credit.amount)
    if taken == 0:
        return None
    debts[receivable] -= taken
    return Move(TransferType.RECEIVABLE_NETTED, credit.account, receivable, taken, credit.ordinal)


def funding_move(*, campaign: str, asset: str, amount: int) -> Move:
    """Money from outside into a pool."""
    return Move(
        TransferType.CAMPAIGN_FUNDED,
        Account(Kind.EXTERNAL_IN, WORLD, asset),
        Account(Kind.POOL, campaign, asset),
        amount,
    )


def _holding(payout: Payout) -> Account:
    return Account(Kind.PAYOUT_PENDING, str(payout.id), payout.asset)


def source_of(payout: Payout) -> Account:
    """Whose money a payout is: a player's winnings, or a funding account."""
    if payout.player is None:
        return Account(Kind.FUNDING, payout.funding_account or "", payout.asset)
    return Account(Kind.WINNINGS, payout.player, payout.asset)


def requested_move(payout: Payout) -> Move:
    """Winnings, or a funding account's money, into the hands of one payout request."""
    return Move(TransferType.PAYOUT_REQUESTED, source_of(payout), _holding(payout), payout.amount)


def paid_moves(payout: Payout, *, rail: str, fee: int, fee_asset: str) -> list[Move]:
    """The rail has paid: the request's money is gone, less the fee that its player bears, and so is what the rail
    charged the platform (``fee``).
    """
    treasury = Account(Kind.TREASURY, rail, payout.asset)
    moves = [Move(TransferType.PAYOUT_PAID, _holding(payout), treasury, payout.pay_amount)]
    if payout.fee:
        kept = Account(Kind.FEES, PLATFORM, payout.asset)
        moves.append(Move(TransferType.PAYOUT_FEE, _holding(payout), kept, payout.fee))
    if fee:
        charged = Account(Kind.RAIL_FEES, rail, fee_asset)
        moves.append(Move(TransferType.RAIL_FEE, charged, Account(Kind.TREASURY, rail, fee_asset), fee))
    return moves


def given_back_move(payout: Payout) -> Move:
    """A payout ended without effect: its money goes back to where it came from, its fee included."""
    return Move(TransferType.PAYOUT_GIVEN_BACK, _holding(payout), source_of(payout), payout.amount)


def returned_move(payout: Payout, *, amount: int) -> Move:
    """A paid payout came back from its rail. Its fee stays: the rail did its work."""
    treasury = Account(Kind.TREASURY, payout.rail or "", payout.asset)
    return Move(TransferType.PAYOUT_RETURNED, treasury, source_of(payout), amount)
