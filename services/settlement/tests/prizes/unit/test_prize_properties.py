"""Prize arithmetic compared with a second calculation: exact fractions, player by player."""

import random
from collections import defaultdict
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_settlement.competitions.domain.model import (
    PlaceRange,
    RankBy,
    Rule,
    TieBreak,
    TiePolicy,
    Unclaimed,
)
from prizewire_settlement.competitions.domain.rules import PERCENT_WHOLE, place_amounts
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.prizes.domain import PlayerResult, settle_result
from services.settlement.tests.fakes import make_rule, paid

Key = tuple[int, ...]


def _ranks(rule: Rule) -> list[tuple[str | None, bool]]:
    """What players are compared by, in order: (score, or None for the stated place; whether more is better)."""
    found: list[tuple[str | None, bool]] = [(rule.rank_by.score, rule.rank_by.descending)]
    if rule.rank_by.score is None:
        found = [(None, False)]
    if rule.tie_break is not None:
        found.append((rule.tie_break.score, rule.tie_break.descending))
    return found


def key_of(rule: Rule, result: PlayerResult) -> Key:
    values = []
    for name, more_is_better in _ranks(rule):
        value = (result.place or 0) if name is None else result.scores[name]
        values.append(-value if more_is_better else value)
    return tuple(values)


def exact_places(rule: Rule, results: list[PlayerResult]) -> dict[str, int]:
    """The place of each player by counting the strictly better players. A stated place is never improved, and moves
    later players down.
    """
    places: dict[str, int] = {}
    taken = 0
    for key in sorted({key_of(rule, result) for result in results}):
        tied = [result for result in results if key_of(rule, result) == key]
        stated = tied[0].place if rule.rank_by.score is None else None
        place = max(taken + 1, stated or 1)
        places |= {result.player: place for result in tied}
        taken = place + len(tied) - 1
    return places


def exact_shares(rule: Rule, results: list[PlayerResult], table: list[Fraction]) -> dict[str, Fraction]:
    """The exact prize of each player's place in fractions of a unit: the mean of the places that a tie holds, and, where the
    rule spreads, that part of the whole table.
    """
    places = exact_places(rule, results)
    sizes: dict[int, int] = defaultdict(int)
    for place in places.values():
        sizes[place] += 1
    shares = {
        player: sum(table[place - 1 : place - 1 + sizes[place]], Fraction(0)) / sizes[place]
        for player, place in places.items()
    }
    taken = sum(shares.values(), Fraction(0))
    if rule.unclaimed is Unclaimed.SPREAD and taken:
        shares = {player: share + (sum(table) - taken) * share / taken for player, share in shares.items()}
    return shares


@st.composite
def tables(draw: st.DrawFn) -> tuple[PlaceRange, ...]:
    """Place tables in which no worse place earns more: percentages or fixed amounts."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    firsts = [1 + sum(sizes[:n]) for n in range(len(sizes))]
    each = sorted(draw(st.lists(st.integers(1, 400), min_size=len(sizes), max_size=len(sizes))), reverse=True)
    if draw(st.booleans()):
        return tuple(
            PlaceRange(first=first, last=first + size - 1, amount_each=amount)
            for first, size, amount in zip(firsts, sizes, each, strict=True)
        )
    whole = sum(size * amount for size, amount in zip(sizes, each, strict=True))
    part = draw(st.one_of(st.just(PERCENT_WHOLE), st.integers(20_000, PERCENT_WHOLE)))
    totals = [size * (amount * part // whole) for size, amount in zip(sizes, each, strict=True)]
    totals[0] += part - sum(totals)
    return tuple(
        PlaceRange(first=first, last=first + size - 1, percent_total=total)
        for first, size, total in zip(firsts, sizes, totals, strict=True)
    )


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Every ranking, tie policy and policy for unclaimed prizes, over every shape of table."""
    places = draw(tables())
    fixed = sum((entry.amount_each or 0) * (entry.last - entry.first + 1) for entry in places)
    policy = draw(st.sampled_from([TiePolicy.SPLIT, TiePolicy.BREAK]))
    return make_rule(
        template=None,
        gross=draw(st.integers(fixed, 10**9)),
        places=places,
        rank_by=draw(
            st.sampled_from([RankBy(), RankBy(score="points"), RankBy(score="points", descending=False)])
        ),
        ties=policy,
        tie_break=TieBreak(score="rest", descending=draw(st.booleans()))
        if policy is TiePolicy.BREAK
        else None,
        unclaimed=draw(st.sampled_from(Unclaimed)),
    )


@st.composite
def fields(draw: st.DrawFn) -> list[PlayerResult]:
    """Few distinct places and scores, so that ties, gaps and ties past the last paid place are common."""
    names = draw(
        st.lists(st.text("abcdé\U0001f40e", min_size=1, max_size=3), min_size=1, max_size=24, unique=True)
    )
    worst = draw(st.integers(1, 12))
    return [
        PlayerResult(
            name,
            draw(st.integers(1, worst)),
            {"points": draw(st.integers(-2, 6)) * 500_000, "rest": draw(st.integers(-2, 2))},
        )
        for name in names
    ]


@given(rule=rules(), field=fields())
def test_every_share_is_within_a_unit_of_the_exact_one(rule: Rule, field: list[PlayerResult]) -> None:
    """Every line is its exact fraction, rounded up or down; places and players equal those found by counting."""
    prizes = settle_result(rule=rule, results=field)
    net = prizes.fees.net
    table = [Fraction(amount) for amount in place_amounts(net=net, places=rule.places)]
    shares = exact_shares(rule, field, table)
    places = exact_places(rule, field)
    amounts = paid(prizes.lines)
    assert all(line.place == places[line.player] for line in prizes.lines)
    # With a spread there are two roundings: one of the tie, one of its part of the rest.
    allowed = 2 if rule.unclaimed is Unclaimed.SPREAD else 1
    for player, share in shares.items():
        assert abs(amounts.get(player, 0) - share) < allowed, player
    assert sum(amounts.values()) + prizes.unclaimed == net
    offered = (
        sum(table) if rule.unclaimed is Unclaimed.SPREAD and any(shares.values()) else sum(shares.values())
    )
    assert prizes.unclaimed == net - offered


@given(rule=rules())
def test_every_place_is_within_a_unit_of_its_percentage(rule: Rule) -> None:
    """A range that does not divide is rounded place by place; the whole table differs by less than one unit."""
    amounts = place_amounts(net=rule.gross, places=rule.places)
    exact = [
        Fraction(entry.amount_each)
        if entry.amount_each is not None
        else Fraction(rule.gross * (entry.percent_total or 0), PERCENT_WHOLE * (entry.last - entry.first + 1))
        for entry in rule.places
        for _ in range(entry.first, entry.last + 1)
    ]
    assert len(amounts) == len(exact)
    assert all(abs(amount - share) < 1 for amount, share in zip(amounts, exact, strict=True))
    assert abs(sum(amounts) - sum(exact)) < 1
    assert list(amounts) == sorted(amounts, reverse=True)


@given(rule=rules(), field=fields())
def test_a_better_place_never_gets_less(rule: Rule, field: list[PlayerResult]) -> None:
    """Down the ranking amounts only fall, ties, odd units and spreads included; equal players differ by one unit."""
    prizes = settle_result(rule=rule, results=field)
    amounts = paid(prizes.lines)
    places = exact_places(rule, field)
    ranking = sorted(field, key=lambda result: (places[result.player], result.player))
    groups: dict[int, list[int]] = defaultdict(list)
    for result in ranking:
        groups[places[result.player]].append(amounts.get(result.player, 0))
    ordered = [groups[place] for place in sorted(groups)]
    assert all(max(group) - min(group) <= 1 for group in ordered)
    assert all(min(better) >= max(worse) for better, worse in pairwise(ordered))


@given(rule=rules(), field=fields(), order=st.randoms(use_true_random=False))
def test_the_order_of_a_result_decides_nothing(
    rule: Rule, field: list[PlayerResult], order: random.Random
) -> None:
    """A shuffled result pays the same players the same units on the same lines, odd units included."""
    shuffled = list(field)
    order.shuffle(shuffled)
    assert settle_result(rule=rule, results=shuffled) == settle_result(rule=rule, results=field)


@given(rule=rules(), field=fields())
def test_a_spread_reduces_no_prize(rule: Rule, field: list[PlayerResult]) -> None:
    """Each player who is paid without a spread gets at least as much with it; places stay."""
    values = {name: getattr(rule, name) for name in ("gross", "places", "rank_by", "ties", "tie_break")}
    kept, spread = (
        settle_result(rule=make_rule(template=None, unclaimed=way, **values), results=field)
        for way in (Unclaimed.POOL, Unclaimed.SPREAD)
    )
    after = paid(spread.lines)
    assert all(after.get(player, 0) >= amount for player, amount in paid(kept.lines).items())
    assert spread.unclaimed <= kept.unclaimed


@given(rule=rules(), field=fields())
def test_a_refusal_is_about_a_tie_on_a_paid_place(rule: Rule, field: list[PlayerResult]) -> None:
    """`refuse` refuses exactly the results in which two equal players begin on a place that is paid."""
    strict = make_rule(
        template=None,
        gross=rule.gross,
        places=rule.places,
        rank_by=rule.rank_by,
        ties=TiePolicy.REFUSE,
        unclaimed=rule.unclaimed,
    )
    places = list(exact_places(strict, field).values())
    tied = any(places.count(place) > 1 for place in places if place <= strict.places[-1].last)
    if not tied:
        assert settle_result(rule=strict, results=field).fees.gross == rule.gross
        return
    with pytest.raises(ReportRefused) as refused:
        settle_result(rule=strict, results=field)
    assert refused.value.reason is Reason.TIE_REFUSED
