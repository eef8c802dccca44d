"""What a settled round, its finality, a credit and a payout's end move: pure lists of moves."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from prizewire_rewards.domain.claims import Claim
from prizewire_rewards.domain.errors import Refused
from prizewire_rewards.domain.ledger import Account, Kind, Move, TransferType
from prizewire_rewards.domain.model import Delivery, Line, Payout, Receivable, Reward, Settlement
from prizewire_rewards.domain.states import RewardState

WORLD = "world"
PLATFORM = "platform"
ORGANIZER = "organizer"
RECEIVABLES = "receivables"
NONE_HELD: frozenset[int] = frozenset()
_PAYS_DEBTS = frozenset({Kind.WINNINGS, Kind.TOPUP})


class Credit(NamedTuple):
    """An amount that came into a player's winnings or top-ups by the move ``ordinal`` of its cause."""

    account: Account
    amount: int
    ordinal: int


def check_settlement(settlement: Settlement, lines: Iterable[Line], *, digest: str) -> None:
    """Hold a whole settlement to its own figures.

    Raises:
        Refused: the lines are not those that were signed for, or the sums do not close.
    """
    lines = list(lines)
    check_lines(lines, first=1)
    if len({line.player for line in lines}) != len(lines):
        raise Refused("event_mismatch", "a player stands on two lines")
    check_sums(settlement, lines=len(lines), total=sum(line.amount for line in lines), digest=digest)


def check_lines(lines: Iterable[Line], *, first: int) -> None:
    """Hold lines to their order, of which ``first`` is the next number, and to having an amount.

    Raises:
        Refused: ``event_mismatch``.
    """
    for number, line in enumerate(lines, first):
        if line.line != number:
            raise Refused("event_mismatch", "lines are not numbered from 1")
        if line.amount <= 0:
            raise Refused("event_mismatch", "a line has no amount")


def check_sums(settlement: Settlement, *, lines: int, total: int, digest: str) -> None:
    """Hold a settlement to the number, the sum and the digest of its lines.

    Raises:
        Refused: ``digest_mismatch``: they are not those that were signed for; ``event_mismatch``: the sums do not
            close.
    """
    if digest != settlement.digest or lines != settlement.lines_total:
        raise Refused("digest_mismatch", f"{lines} lines do not make the digest of the settlement")
    if settlement.gross != settlement.platform_fee + settlement.organizer_fee + settlement.net:
        raise Refused("event_mismatch", "gross is not the sum of fees and net")
    if settlement.net != total + settlement.unclaimed:
        raise Refused("event_mismatch", "net is not the sum of lines and unclaimed")


def pool_of(settlement: Settlement) -> Account:
    """The pool of the settlement's campaign."""
    return Account(Kind.POOL, str(settlement.campaign), settlement.asset)


def reserve_of(settlement: Settlement) -> Account:
    """What the round has taken and not given on."""
    return Account(Kind.RESERVED, str(settlement.round_id), settlement.asset)


def claimable_of(settlement: Settlement) -> Account:
    """What winners of the settlement's campaign can claim."""
    return Account(Kind.CLAIMABLE, str(settlement.campaign), settlement.asset)


def prize_move(settlement: Settlement, *, player: str, line: int, amount: int, claim: bool) -> Move:
    """Give a prize out of the reserve: pending, or, once final, payable or to be claimed."""
    asset = settlement.asset
    if not settlement.final:
        type_, to = TransferType.PRIZE_PENDING, Account(Kind.PENDING, player, asset)
    elif claim:
        type_, to = TransferType.CLAIM_OPENED, claimable_of(settlement)
    else:
        type_, to = TransferType.PRIZE_CREDITED, Account(Kind.WINNINGS, player, asset)
    return Move(type_, reserve_of(settlement), to, amount, line)


def reserved_moves(
    settlement: Settlement,
    lines: Iterable[Line],
    *,
    delivery: Delivery = Delivery.WALLET,
    held: Collection[int] = NONE_HELD,
) -> list[Move]:
    """Take the gross prize from the pool, give each line its prize, and the unclaimed rest back.

    A final settlement's prizes are credited (or to be claimed) and its fees taken at once; else prizes are pending and
    fees stay reserved. So do the prizes of lines that are ``held``, by line number.
    """
    asset = settlement.asset
    pool = pool_of(settlement)
    reserved = reserve_of(settlement)
    moves: list[Move] = []
    if settlement.gross:
        moves.append(Move(TransferType.PRIZE_RESERVED, pool, reserved, settlement.gross))
    if held:
        lines = [line for line in lines if line.line not in held]
    if settlement.final and delivery is Delivery.CLAIM:
        claimable = claimable_of(settlement)
        moves.extend(
            Move(TransferType.CLAIM_OPENED, reserved, claimable, line.amount, line.line) for line in lines
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
        moves.extend(fee_moves(settlement))
    return moves


def finality_moves(
    settlement: Settlement, rewards: Iterable[Reward], *, delivery: Delivery = Delivery.WALLET
) -> list[Move]:
    """Make pending prizes payable, or claimable; those that are held or wait for money stay where they are."""
    asset = settlement.asset
    type_, claimable = TransferType.PRIZE_MATURED, None
    if delivery is Delivery.CLAIM:
        type_, claimable = TransferType.CLAIM_OPENED, claimable_of(settlement)
    return [
        Move(
            type_,
            Account(Kind.PENDING, reward.line.player, asset),
            claimable or Account(Kind.WINNINGS, reward.line.player, asset),
            reward.line.amount - reward.short,
            reward.line.line,
        )
        for reward in rewards
        if reward.state is RewardState.PENDING
    ]


def fee_moves(settlement: Settlement) -> list[Move]:
    """Take the fees of a round that is final out of its reserve."""
    asset, reserved = settlement.asset, reserve_of(settlement)
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
    """Every credit to winnings or top-ups among the moves, in their order."""
    return [
        Credit(move.credit, move.amount, move.ordinal) for move in moves if move.credit.kind in _PAYS_DEBTS
    ]


def _owed_by(debt: Receivable) -> Account:
    return Account(Kind.RECEIVABLE, debt.player, debt.asset)


def _clearing(debt: Receivable) -> Account:
    return Account(Kind.CLEARING, RECEIVABLES, debt.asset)


def opened_move(debt: Receivable) -> Move:
    """A player owes what could not be taken back."""
    return Move(TransferType.RECEIVABLE_OPENED, _owed_by(debt), _clearing(debt), debt.amount)


def pays(bucket: Kind, debt: Receivable) -> bool:
    """Whether a credit to ``bucket`` is taken for ``debt``. Winnings pay every debt. Top-ups pay only debts of top-ups,
    which lead outside: money that was paid in never comes to a pool.
    """
    return bucket is Kind.WINNINGS or (bucket is Kind.TOPUP and debt.campaign is None)


def recovery_moves(debt: Receivable, *, bucket: Kind, amount: int) -> list[Move]:
    """Take ``amount`` from the debtor's ``bucket`` to the pool that it is owed to (or outside), and settle as much of
    the debt: what funds a pool is money, never a debt.
    """
    wallet = Account(bucket, debt.player, debt.asset)
    to = (
        Account(Kind.POOL, str(debt.campaign), debt.asset)
        if debt.campaign is not None
        else Account(Kind.EXTERNAL_OUT, WORLD, debt.asset)
    )
    return [Move(TransferType.RECEIVABLE_RECOVERED, wallet, to, amount), lifted_move(debt, amount=amount)]


def lifted_move(debt: Receivable, *, amount: int) -> Move:
    """So much of a debt is owed no more."""
    return Move(TransferType.RECEIVABLE_SETTLED, _clearing(debt), _owed_by(debt), amount)


def written_off_move(debt: Receivable, *, amount: int) -> Move:
    """So much of a debt is given up."""
    return Move(
        TransferType.RECEIVABLE_WRITTEN_OFF,
        Account(Kind.WRITE_OFF, PLATFORM, debt.asset),
        _owed_by(debt),
        amount,
    )


def restored_move(debt: Receivable, *, amount: int) -> Move:
    """So much of what was given up of a debt is no loss any more: the reason of the debt is gone."""
    platform = Account(Kind.WRITE_OFF, PLATFORM, debt.asset)
    return Move(TransferType.RECEIVABLE_RESTORED, _clearing(debt), platform, amount)


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
