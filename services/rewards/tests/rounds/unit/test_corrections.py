"""The effects of corrections, voids and late money on prizes, without handlers."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.ledger.domain.accounts import EDGE_OF, Kind, deltas
from prizewire_rewards.prizes.domain.model import Line, Reward, Settlement
from prizewire_rewards.prizes.domain.states import RewardState
from prizewire_rewards.rounds.domain.corrections import (
    REMOVED_LINE_BITS,
    pay_short,
    removed_line,
    take_all_back,
    take_back,
)

PEOPLE = ("ann", "bob", "cat", "dan")
HEAD = Settlement(
    round_id=UUID(int=1),
    match_id="m",
    match_source="/g",
    competition="c",
    correlation_id="x",
    settlement_version=2,
    rule_version=1,
    campaign=UUID(int=2),
    asset="USDC",
    gross=100,
    platform_fee=0,
    organizer_fee=0,
    organizer_player=None,
    net=100,
    unclaimed=0,
    parts=1,
    lines_total=2,
    digest="d",
    final=True,
    final_at=datetime(2026, 3, 1, tzinfo=UTC),
)
MOVED = UUID(int=9)
states = st.sampled_from(
    [RewardState.PENDING, RewardState.HELD, RewardState.CLAIMABLE, RewardState.CREDITED, RewardState.REJECTED]
)


def reward(number: int, amount: int, state: RewardState, *, short: int = 0) -> Reward:
    line = Line(number, PEOPLE[number - 1], number, amount, 1)
    return Reward(UUID(int=number), HEAD.round_id, line, state, MOVED, short=short)


@given(
    held=st.lists(st.tuples(st.integers(1, 50), states, st.integers(0, 10)), max_size=4),
    new=st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 60), max_size=4),
    winnings=st.dictionaries(st.sampled_from(PEOPLE), st.integers(0, 60), max_size=4),
)
def test_taking_back_matches_the_excess(
    held: list[tuple[int, RewardState, int]], new: dict[str, int], winnings: dict[str, int]
) -> None:
    """In every state of a prize, the returned and the owed amounts are exactly the excess, moves follow allowed edges,
    and the booked and the missing amount sum to the new amount.
    """
    before = [
        reward(n, amount, state, short=min(amount, short)) for n, (amount, state, short) in enumerate(held, 1)
    ]
    lines = {player: Line(n, player, n, amount, 1) for n, (player, amount) in enumerate(new.items(), 1)}
    has = dict(winnings)
    taken = take_back(before, lines=lines, settlement=HEAD, winnings=has, funded=True)
    too_much = sum(max(0, one.booked - new.get(one.line.player, 0)) for one in before)
    assert taken.came_back + sum(one.amount for one in taken.shortfalls) == too_much
    for was, now in zip(before, taken.rewards, strict=True):
        player = was.line.player
        if was.state is RewardState.REJECTED:
            assert (now.state, now.booked, now.missing) == (was.state, 0, 0)
        elif player in new:
            assert now.booked + now.missing == new[player]
            assert now.booked == min(was.booked, new[player])
        else:
            assert (now.state, now.booked, now.missing) == (RewardState.REVERSED, 0, 0)
            assert now.line.line < 0
    assert all((move.type, move.debit.kind, move.credit.kind) in EDGE_OF for move in taken.moves)
    spent = {player: winnings.get(player, 0) - has.get(player, 0) for player in PEOPLE}
    moved = {
        account.owner: -delta
        for account, delta in deltas(taken.moves).items()
        if account.kind is Kind.WINNINGS
    }
    assert {player: amount for player, amount in spent.items() if amount} == moved
    assert all(amount >= 0 for amount in has.values())


@given(missing=st.lists(st.integers(0, 30), min_size=1, max_size=4), budget=st.integers(0, 80))
def test_prizes_are_paid_in_order_and_completely(missing: list[int], budget: int) -> None:
    """No prize is paid in part, none before an earlier one that waits, and the amounts match the budget."""
    before = [reward(n, 30, RewardState.CREDITED, short=short) for n, short in enumerate(missing, 1)]
    paid = pay_short(before, settlement=HEAD, budget=budget, delivery=Delivery.WALLET)
    got = [was.short - now.short for was, now in zip(before, paid.rewards, strict=True)]
    assert all(amount in (0, short) for amount, short in zip(got, missing, strict=True))
    waiting = [n for n, now in enumerate(paid.rewards) if now.short]
    assert all(not got[n] for n in range(waiting[0], len(got))) if waiting else sum(got) == sum(missing)
    assert paid.left == budget - sum(got) >= 0
    assert paid.short == sum(now.short for now in paid.rewards)
    assert sum(move.amount for move in paid.moves) == sum(got)


def test_a_held_prize_is_paid_in_the_reserve() -> None:
    """A held prize has no move out of the reserve, and it uses its part of the budget."""
    line = Line(1, "ann", 1, 30, 1)
    kept = Reward(UUID(int=1), HEAD.round_id, line, RewardState.UNFUNDED, None, note="cap_player", short=30)
    paid = pay_short([kept], settlement=HEAD, budget=40, delivery=Delivery.WALLET)
    assert (paid.moves, paid.left) == ([], 10)
    assert (paid.rewards[0].state, paid.rewards[0].booked) == (RewardState.HELD, 30)


def test_late_money_for_a_claimed_prize_is_no_second_claim() -> None:
    """More money for a claimed prize goes to the wallet; a new prize must be claimed."""
    rewards = [reward(1, 30, RewardState.CREDITED, short=10), reward(2, 30, RewardState.CLAIMABLE, short=10)]
    paid = pay_short(rewards, settlement=HEAD, budget=20, delivery=Delivery.CLAIM)
    assert [move.credit.kind for move in paid.moves] == [Kind.WINNINGS, Kind.CLAIMABLE]


def test_a_void_takes_everything_except_ended_prizes() -> None:
    """Pending and held money comes back; the money of a refused prize is in the pool already."""
    rewards = [
        reward(1, 30, RewardState.PENDING),
        reward(2, 20, RewardState.HELD),
        reward(3, 10, RewardState.REJECTED),
        reward(4, 5, RewardState.PENDING, short=2),
    ]
    taken = take_all_back(rewards, settlement=replace(HEAD, final=False), winnings={})
    assert taken.came_back == 30 + 20 + 3
    assert [one.state for one in taken.rewards] == [
        RewardState.REVERSED,
        RewardState.REVERSED,
        RewardState.REJECTED,
        RewardState.REVERSED,
    ]


@given(
    places=st.lists(
        st.tuples(st.integers(1, 100_000), st.integers(2, 16_000)), min_size=2, max_size=9, unique=True
    )
)
def test_removed_lines_have_unique_numbers(places: list[tuple[int, int]]) -> None:
    """A removed prize has a line number that no other prize has or gets, for any numbers of lines and versions."""
    gone = [removed_line(Line(line, "p", 1, 1, 1), version=version).line for line, version in places]
    assert len(set(gone)) == len(gone)
    assert all(-(2**31) <= line < 0 for line in gone)
    assert 2**REMOVED_LINE_BITS > 100_000
    again = Line(gone[0], "p", 1, 1, 1)
    assert removed_line(again, version=99) == again
