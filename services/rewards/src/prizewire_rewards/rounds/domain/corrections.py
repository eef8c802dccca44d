"""What a correction, a void and money that comes late do to prizes: pure, over any number of them at a time.

A correction goes in steps: first what was given too much is taken back (``take_back``), and every prize gets the
line that it now has, short of what it did not have before; then what is short is paid in the order of lines
(``pay_short``), as far as the money reaches. A round of many lines does each step in chunks.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.transitions import step
from prizewire_rewards.prizes.domain.booking import claimable_of, prize_move, reserve_of
from prizewire_rewards.prizes.domain.model import Line, Reward, Settlement
from prizewire_rewards.prizes.domain.states import REWARD_EDGES, RewardState

REMOVED_LINE_BITS: Final = 17
"""A prize that was taken away stands on line -(version * 2^17 + its line): on none that is or will be in use."""
_NO_MOVE: Final = frozenset({RewardState.HELD})
_LEAVES: Final = frozenset({RewardState.EXPIRED, RewardState.REJECTED})


class Shortfall(NamedTuple):
    """What a player was given too much and no longer has."""

    player: str
    amount: int


@dataclass(slots=True)
class Taken:
    """What taking back comes to: ``came_back`` is what the reserve has for others now, and ``reversed`` tells each
    prize that lost something, with what it lost as its amount, on the line it stood on.
    """

    rewards: list[Reward] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    came_back: int = 0
    shortfalls: list[Shortfall] = field(default_factory=list)
    reversed: list[Reward] = field(default_factory=list)
    changed: int = 0


@dataclass(slots=True)
class Paid:
    """What paying comes to: ``left`` of the budget, ``short`` of the prizes; ``rewards`` in the order that came in."""

    rewards: list[Reward]
    moves: list[Move]
    left: int
    short: int


def removed_line(line: Line, *, version: int) -> Line:
    """The line of a prize that is on none any more."""
    return line if line.line < 0 else line._replace(line=-((version << REMOVED_LINE_BITS) | line.line))


def take_back(
    rewards: Iterable[Reward],
    *,
    lines: Mapping[str, Line],
    settlement: Settlement,
    winnings: MutableMapping[str, int],
    funded: bool,
) -> Taken:
    """Bring prizes to the lines of a corrected ``settlement``, and take back what is too much.

    From pending, or from what is still to be claimed; else from the winnings, as far as they reach. What is held lies in
    the reserve already. ``lines`` are the new ones by player, ``winnings`` what players have (lowered by what is taken);
    ``funded`` is false while the whole round waits for money.
    """
    taken = Taken()
    version = settlement.settlement_version
    for reward in rewards:
        line = lines.get(reward.line.player)
        if reward.state in _LEAVES:
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
            told = reward.line._replace(amount=lost)
            taken.reversed.append(after._replace(line=told))
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
    there = less
    if reward.state is RewardState.PENDING:
        source = Account(Kind.PENDING, player, settlement.asset)
    elif reward.state is RewardState.CLAIMABLE:
        source = claimable_of(settlement)
    else:
        source = Account(Kind.WINNINGS, player, settlement.asset)
        there = min(less, winnings.get(player, 0))
        winnings[player] = winnings.get(player, 0) - there
    if there:
        taken.moves.append(Move(TransferType.PRIZE_REVERSED, source, reserve, there, reward.line.line))
        taken.came_back += there
    if there < less:
        taken.shortfalls.append(Shortfall(player, less - there))


def pay_short(rewards: Iterable[Reward], *, settlement: Settlement, budget: int, delivery: Delivery) -> Paid:
    """Give prizes what they miss out of the reserve, in the order in which they come, each whole; the first that the
    ``budget`` does not cover waits, and all after it. What a rule keeps back stays in the reserve.
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
    """Take everything back: from pending, from what is still to be claimed, or, of a round that was final, from the
    ``winnings`` as far as they reach (lowered by what is taken). What is held lies in the reserve already.
    """
    taken = Taken()
    for reward in rewards:
        if reward.state in _LEAVES or reward.state is RewardState.REVERSED:
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
