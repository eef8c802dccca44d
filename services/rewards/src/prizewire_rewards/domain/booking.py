"""What a settled round, its finality, a credit and a payout's end move: pure lists of moves."""

from collections.abc import Iterable, MutableMapping
from typing import NamedTuple

from prizewire_rewards.domain.claims import Claim
from prizewire_rewards.domain.errors import Refused
from prizewire_rewards.domain.ledger import Account, Kind, Move, TransferType
from prizewire_rewards.domain.model import Line, Payout, Settlement

__all__ = [
    "Credit",
    "check_settlement",
    "claim_move",
    "credits_of",
    "finality_moves",
    "funding_move",
    "given_back_move",
    "net_receivable",
    "paid_moves",
    "requested_move",
    "reserved_moves",
    "returned_move",
    "unclaimed_move",
    "withdrawal_move",
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


def reserved_moves(settlement: Settlement, lines: Iterable[Line], *, claimed: bool = False) -> list[Move]:
    """Take the gross prize from the pool, give each line its prize, and the unclaimed rest back. Prizes that are not
    among the lines stay reserved.

    A final settlement's prizes are credited, or claimable where they must be claimed, and its fees taken at once; else
    prizes are pending and fees stay reserved.
    """
    asset = settlement.asset
    pool = Account(Kind.POOL, str(settlement.campaign), asset)
    reserved = Account(Kind.RESERVED, str(settlement.round_id), asset)
    moves: list[Move] = []
    if settlement.gross:
        moves.append(Move(TransferType.PRIZE_RESERVED, pool, reserved, settlement.gross))
    if settlement.final and claimed:
        waiting = _claimable(settlement)
        moves.extend(
            Move(TransferType.CLAIM_OPENED, reserved, waiting, line.amount, line.line) for line in lines
        )
    else:
        type_, bucket = (
            (TransferType.PRIZE_CREDITED, Kind.WINNINGS)
            if settlement.final
            else (TransferType.PRIZE_PENDING, Kind.PENDING)
        )
        moves.extend(
            Move(type_, reserved, Account(bucket, line.player, asset), line.amount, line.line)
            for line in lines
        )
    if settlement.unclaimed:
        moves.append(Move(TransferType.PRIZE_UNCLAIMED, reserved, pool, settlement.unclaimed))
    if settlement.final:
        moves.extend(_fee_moves(settlement, reserved))
    return moves


def finality_moves(settlement: Settlement, lines: Iterable[Line], *, claimed: bool = False) -> list[Move]:
    """Make pending prizes payable, or claimable where they must be claimed, and take the fees."""
    asset = settlement.asset
    moves = [
        Move(
            TransferType.CLAIM_OPENED if claimed else TransferType.PRIZE_MATURED,
            Account(Kind.PENDING, line.player, asset),
            _claimable(settlement) if claimed else Account(Kind.WINNINGS, line.player, asset),
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


def _claimable(settlement: Settlement) -> Account:
    return Account(Kind.CLAIMABLE, str(settlement.campaign), settlement.asset)


def claim_move(claim: Claim) -> Move:
    """A claimed prize into its winner's wallet."""
    wallet = Account(Kind.WINNINGS, claim.player, claim.asset)
    return Move(TransferType.CLAIM_PAID, _waiting_for(claim), wallet, claim.amount)


def unclaimed_move(claim: Claim, *, expired: bool) -> Move:
    """A prize that was refused, or not claimed in time, back into its pool."""
    type_ = TransferType.CLAIM_EXPIRED if expired else TransferType.CLAIM_REJECTED
    pool = Account(Kind.POOL, str(claim.campaign), claim.asset)
    return Move(type_, _waiting_for(claim), pool, claim.amount)


def _waiting_for(claim: Claim) -> Account:
    return Account(Kind.CLAIMABLE, str(claim.campaign), claim.asset)


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


def withdrawal_move(*, campaign: str, asset: str, amount: int) -> Move:
    """Money that no round has reserved out of a pool."""
    return Move(
        TransferType.CAMPAIGN_WITHDRAWN,
        Account(Kind.POOL, campaign, asset),
        Account(Kind.EXTERNAL_OUT, WORLD, asset),
        amount,
    )


def _holding(payout: Payout) -> Account:
    return Account(Kind.PAYOUT_PENDING, str(payout.id), payout.asset)


def requested_move(payout: Payout) -> Move:
    """Winnings into the hands of one payout request."""
    wallet = Account(Kind.WINNINGS, payout.player, payout.asset)
    return Move(TransferType.PAYOUT_REQUESTED, wallet, _holding(payout), payout.amount)


def paid_moves(payout: Payout, *, rail: str, fee: int, fee_asset: str) -> list[Move]:
    """The rail has paid: the request's money is gone, and so is what the rail charged the platform."""
    treasury = Account(Kind.TREASURY, rail, payout.asset)
    moves = [Move(TransferType.PAYOUT_PAID, _holding(payout), treasury, payout.amount)]
    if fee:
        charged = Account(Kind.RAIL_FEES, rail, fee_asset)
        moves.append(Move(TransferType.RAIL_FEE, charged, Account(Kind.TREASURY, rail, fee_asset), fee))
    return moves


def given_back_move(payout: Payout) -> Move:
    """A payout ended without effect: its money goes back to the winnings it came from."""
    wallet = Account(Kind.WINNINGS, payout.player, payout.asset)
    return Move(TransferType.PAYOUT_GIVEN_BACK, _holding(payout), wallet, payout.amount)


def returned_move(payout: Payout, *, amount: int) -> Move:
    """A paid payout came back from its rail."""
    treasury = Account(Kind.TREASURY, payout.rail or "", payout.asset)
    wallet = Account(Kind.WINNINGS, payout.player, payout.asset)
    return Move(TransferType.PAYOUT_RETURNED, treasury, wallet, amount)
