"""Moves of payouts' money."""

from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.moves import PLATFORM
from prizewire_rewards.payouts.domain.model import Payout


def _holding(payout: Payout) -> Account:
    return Account(Kind.PAYOUT_PENDING, str(payout.id), payout.asset)


def source_of(payout: Payout) -> Account:
    """The account that a payout is paid from: a player's winnings, or a funding account."""
    if payout.player is None:
        return Account(Kind.FUNDING, payout.funding_account or "", payout.asset)
    return Account(Kind.WINNINGS, payout.player, payout.asset)


def requested_move(payout: Payout) -> Move:
    """The move of money from its source to the account of one payout."""
    return Move(TransferType.PAYOUT_REQUESTED, source_of(payout), _holding(payout), payout.amount)


def paid_moves(payout: Payout, *, rail: str, fee: int, fee_asset: str) -> list[Move]:
    """The moves of a payout that the rail paid: the paid amount leaves, the player's fee goes to the fees, and ``fee``,
    which the rail charged the platform, leaves too.
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
    """The move of a payout that ended without effect: all of its money, with its fee, goes back to its source."""
    return Move(TransferType.PAYOUT_GIVEN_BACK, _holding(payout), source_of(payout), payout.amount)


def returned_move(payout: Payout, *, amount: int) -> Move:
    """The move of a paid payout that its rail returned. The player's fee is not given back."""
    treasury = Account(Kind.TREASURY, payout.rail or "", payout.asset)
    return Move(TransferType.PAYOUT_RETURNED, treasury, source_of(payout), amount)
