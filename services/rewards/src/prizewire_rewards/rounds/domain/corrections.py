"""The effects of corrections, voids and late money on prizes: pure functions over any number of prizes.

A correction has two steps. ``take_back`` takes excess amounts back and gives each prize its new line; the amount that the
prize did not have before is short. ``pay_short`` then pays what is short, in the order of lines, until the money is used. A
large round does each step in chunks.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import step
from prizewire_rewards.prizes.domain.booking import claimable_of, prize_move, reserve_of
from prizewire_rewards.prizes.domain.model import Line, Reward, Settlement
from prizewire_rewards.prizes.domain.states import REWARD_EDGES, RewardState

REMOVED_LINE_BITS: Final = 17
"""A removed prize gets the line number -(version * 2^17 + its line): no prize has or gets the same number."""
_NO_MOVE: Final = frozenset({RewardState.HELD})
_UNPAYABLE: Final = frozenset({RewardState.EXPIRED, RewardState.REJECTED})


class Shortfall(NamedTuple):
    """An excess amount of a player that could not be taken back, since the player no longer has it."""

    player: str
    amount: int


@dataclass(slots=True)
class Taken:
    """The result of taking money back. ``came_back`` is the money that the reserve has for others now. ``reversed`` has
    each prize that lost money, with the lost amount and its former line.
    """

    rewards: list[Reward] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    came_back: int = 0
    shortfalls: list[Shortfall] = field(default_factory=list)
    reversed: list[Reward] = field(default_factory=list)
    changed: int = 0


@dataclass(slots=True)
class Paid:
    """The result of paying prizes: ``left`` of the budget, the amount still ``short``, and ``rewards`` in their former
    order.
    """

    rewards: list[Reward]
    moves: list[Move]
    left: int
    short: int


def removed_line(line: Line, *, version: int) -> Line:
    """The line of a prize that a correction removes."""
    return line if line.line < 0 else line._replace(line=-((version << REMOVED_LINE_BITS) | line.line))


def take_back(
    rewards: Iterable[Reward],
    *,
    lines: Mapping[str, Line],
    settlement: Settlement,
    winnings: MutableMapping[str, int],
    funded: bool,
) -> Taken:
    """Change prizes to the lines of a corrected ``settlement``, and take back excess amounts.

    Money comes from the pending bucket, from the claimable account, or from the winnings, as far as these cover it. Money
    of held prizes is in the reserve already. ``lines`` are the new lines by player, ``winnings`` the balances of players
    (reduced by what is taken). ``funded`` is false while the whole round waits for money.
    """
    taken = Taken()
    version = settlement.settlement_version
    for reward in rewards:
        line = lines.get(reward.line.player)
        if reward.state in _UNPAYABLE:
            taken.rewards.append(_moved(reward, line, version=version))
            continue
        booked = reward.booked
        less = max(0, booked - (line.amount if line else 0))
        if less:
            _take(reward, less, settlement=settlement, winnings=winnings, taken=taken)
        after = _moved(reward, line, version=version)
        if line is None:
            if reward.state is not RewardState.REVERSED:
                state = step(edges=REWARD_EDGES, was=reward.state, to=RewardState.REVERSED)
                after = after._replace(state=state, short=0, note=None)
        else:
            if reward.state is RewardState.REVERSED:
                state = step(edges=REWARD_EDGES, was=reward.state, to=RewardState.UNFUNDED)
                after = after._replace(state=state, transfer_id=None, note=None)
            after = after._replace(short=line.amount - booked + less if funded else 0)
        lost = less or (reward.missing if line is None else max(0, reward.line.amount - line.amount))
        if lost and reward.state is not RewardState.REVERSED:
            taken.reversed.append(after._replace(line=reward.line._replace(amount=lost)))
        taken.rewards.append(after)
        taken.changed += 1
    return taken


def _moved(reward: Reward, line: Line | None, *, version: int) -> Reward:
    return reward._replace(
        line=line if line is not None else removed_line(reward.line, version=version), version=version
    )


def _take(
    reward: Reward,
    less: int,
    *,
    settlement: Settlement,
    winnings: MutableMapping[str, int],
    taken: Taken,
) -> None:
    player, reserve = reward.line.player, reserve_of(settlement)
    if reward.state in _NO_MOVE:
        taken.came_back += less
        return
    taken_amount = less
    if reward.state is RewardState.PENDING:
        source = Account(Kind.PENDING, player, settlement.asset)
    elif reward.state is RewardState.CLAIMABLE:
        source = claimable_of(settlement)
    else:
        source = Account(Kind.WINNINGS, player, settlement.asset)
        taken_amount = min(less, winnings.get(player, 0))
        winnings[player] = winnings.get(player, 0) - taken_amount
    if taken_amount:
        taken.moves.append(Move(TransferType.PRIZE_REVERSED, source, reserve, taken_amount, reward.line.line))
        taken.came_back += taken_amount
    if taken_amount < less:
        taken.shortfalls.append(Shortfall(player, less - taken_amount))


def pay_short(rewards: Iterable[Reward], *, settlement: Settlement, budget: int, delivery: Delivery) -> Paid:
    """Pay missing amounts of prizes out of the reserve, in the given order, each completely. The first prize that the
    ``budget`` does not cover waits, and so do all later ones. Money of held prizes stays in the reserve.
    """
    paid = Paid([], [], budget, 0)
    waiting = False
    for reward in rewards:
        missing = reward.missing
        if not missing:
            paid.rewards.append(reward)
            continue
        if waiting or missing > paid.left:
            waiting = True
            paid.short += missing
            paid.rewards.append(reward._replace(short=missing))
            continue
        paid.left -= missing
        fresh = reward.state is RewardState.UNFUNDED
        if reward.state is RewardState.HELD or (fresh and reward.note is not None):
            state = reward.state
            if fresh:
                state = step(edges=REWARD_EDGES, was=reward.state, to=RewardState.HELD)
            paid.rewards.append(reward._replace(state=state, short=0))
            continue
        claim = delivery is Delivery.CLAIM and reward.state is not RewardState.CREDITED
        paid.moves.append(
            prize_move(
                settlement,
                player=reward.line.player,
                line=reward.line.line,
                amount=missing,
                claim=claim,
            )
        )
        paid.rewards.append(reward._replace(short=0))
    return paid


def take_all_back(
    rewards: Iterable[Reward], *, settlement: Settlement, winnings: MutableMapping[str, int]
) -> Taken:
    """Take all prizes back: from the pending bucket, from the claimable account, or, for a final round, from the
    ``winnings`` as far as they cover it (reduced by what is taken). Money of held prizes is in the reserve already.
    """
    taken = Taken()
    for reward in rewards:
        if reward.state in _UNPAYABLE or reward.state is RewardState.REVERSED:
            taken.rewards.append(reward)
            continue
        booked = reward.booked
        if booked:
            _take(reward, booked, settlement=settlement, winnings=winnings, taken=taken)
        state = step(edges=REWARD_EDGES, was=reward.state, to=RewardState.REVERSED)
        after = reward._replace(state=state, short=0, note=None)
        taken.reversed.append(after)
        taken.rewards.append(after)
        taken.changed += 1
    return taken
