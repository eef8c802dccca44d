"""Checks of settlements, and the moves of settled rounds, of their finality and of their fees."""

from collections.abc import Collection, Iterable

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.errors import Refused
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import ORGANIZER, PLATFORM
from prizewire_rewards.prizes.domain.model import Line, Reward, Settlement
from prizewire_rewards.prizes.domain.states import RewardState

NONE_HELD: frozenset[int] = frozenset()


def check_settlement(settlement: Settlement, lines: Iterable[Line], *, digest: str) -> None:
    """Check a complete settlement against its own figures.

    Raises:
        Refused: the lines do not match the signed digest, or the sums do not match.
    """
    lines = list(lines)
    check_lines(lines, first=1)
    if len({line.player for line in lines}) != len(lines):
        raise Refused("event_mismatch", "a player is on two lines")
    check_sums(settlement, lines=len(lines), total=sum(line.amount for line in lines), digest=digest)


def check_lines(lines: Iterable[Line], *, first: int) -> None:
    """Check that lines are numbered in order from ``first`` and that each has an amount.

    Raises:
        Refused: ``event_mismatch``.
    """
    for number, line in enumerate(lines, first):
        if line.line != number:
            raise Refused("event_mismatch", f"line {line.line} is in the place of line {number}")
        if line.amount <= 0:
            raise Refused(
                "event_mismatch", f"line {line.line} has the amount {line.amount}, not one above zero"
            )


def check_sums(settlement: Settlement, *, lines: int, total: int, digest: str) -> None:
    """Check a settlement against the number, the sum and the digest of its lines.

    Raises:
        Refused: ``digest_mismatch``: the lines do not match the signed digest; ``event_mismatch``: the sums do not match.
    """
    if digest != settlement.digest or lines != settlement.lines_total:
        raise Refused(
            "digest_mismatch", f"the digest of {lines} lines differs from the digest of the settlement"
        )
    if settlement.gross != settlement.platform_fee + settlement.organizer_fee + settlement.net:
        sums = f"{settlement.platform_fee} + {settlement.organizer_fee} + {settlement.net}"
        raise Refused("event_mismatch", f"gross {settlement.gross} is not the sum of fees and net: {sums}")
    if settlement.net != total + settlement.unclaimed:
        sums = f"{total} + {settlement.unclaimed}"
        raise Refused("event_mismatch", f"net {settlement.net} is not the sum of lines and unclaimed: {sums}")


def pool_of(settlement: Settlement) -> Account:
    """The pool of the settlement's campaign."""
    return Account(Kind.POOL, str(settlement.campaign), settlement.asset)


def reserve_of(settlement: Settlement) -> Account:
    """The account with the money that the round took from the pool and did not pay yet."""
    return Account(Kind.RESERVED, str(settlement.round_id), settlement.asset)


def claimable_of(settlement: Settlement) -> Account:
    """The account with the prizes that winners of the settlement's campaign can claim."""
    return Account(Kind.CLAIMABLE, str(settlement.campaign), settlement.asset)


def prize_move(settlement: Settlement, *, player: str, line: int, amount: int, claim: bool) -> Move:
    """The move of a prize out of the reserve: to pending, or, for a final settlement, to winnings or to be claimed."""
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
    """The moves of a new round: the gross prize from the pool, the prize of each line, and the unclaimed rest to the pool.

    Prizes of a final settlement are credited (or to be claimed), and its fees are taken. Otherwise prizes are pending, and
    fees stay in the reserve. Prizes of lines in ``held`` (line numbers) stay in the reserve too.
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
    """The moves that make pending prizes payable or claimable. Prizes that are held or wait for money do not move."""
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
    """The moves that take the fees of a final round out of its reserve."""
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
