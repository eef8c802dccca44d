"""Ties that are broken, and prizes that nobody took: worked examples."""

import pytest

from prizewire_settlement.competitions.domain.model import (
    PerPoint,
    PlaceRange,
    RankBy,
    TieBreak,
    TiePolicy,
    Unclaimed,
)
from prizewire_settlement.competitions.domain.rules import PERCENT_WHOLE, place_amounts, plan_of
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.prizes.domain import PlayerResult, settle_result
from services.settlement.tests.fakes import make_rule, paid, placed, points

PERCENT = PERCENT_WHOLE // 100
BROKEN = {"ties": TiePolicy.BREAK, "tie_break": TieBreak(score="buchholz")}
SPREAD = {"unclaimed": Unclaimed.SPREAD}


def fixed(*amounts: int) -> tuple[PlaceRange, ...]:
    return tuple(PlaceRange(first=n, last=n, amount_each=a) for n, a in enumerate(amounts, start=1))


def field(**players: tuple[int, int]) -> list[PlayerResult]:
    """Players with their stated place and their Buchholz."""
    return [PlayerResult(player, place, {"buchholz": points(b)}) for player, (place, b) in players.items()]


@pytest.mark.parametrize(
    ("name", "percents"),
    [
        ("winner_takes_all", [100]),
        ("top3", [50, 30, 20]),
        ("top5", [40, 25, 15, 12, 8]),
        ("top10", [30, 20, 12, 10, 8, 6, 5, 4, 3, 2]),
    ],
)
def test_named_templates_pay_what_is_documented_and_stay_as_they_are(name: str, percents: list[int]) -> None:
    """A named template keeps its percentages for ever: do not change this test."""
    prizes = settle_result(rule=make_rule(template=name), results=placed(*(f"p{n:02}" for n in range(12))))
    assert [line.amount for line in prizes.lines] == [percent * 100 for percent in percents]
    assert prizes.unclaimed == 0


def test_a_range_that_does_not_divide_gives_its_odd_units_to_its_better_places() -> None:
    """Places 9 to 16 share 2.5 percent: 250 units over eight places, two of them get one more."""
    places = (
        PlaceRange(first=1, last=8, percent_total=97 * PERCENT + PERCENT // 2 - 6 * PERCENT // 100),
        PlaceRange(first=9, last=16, percent_total=2 * PERCENT + PERCENT // 2),
        PlaceRange(first=17, last=17, percent_total=6 * PERCENT // 100),
    )
    amounts = place_amounts(net=10_000, places=places)
    assert amounts == (*(1_218,) * 8, *(32, 32, 31, 31, 31, 31, 31, 31), 6)


def test_odd_units_go_to_the_largest_remainders_whatever_their_range() -> None:
    """1218.75 for each of eight places and 31.25 for each of the next eight: no place is a unit off, and none below
    is better off; so all eight units go to the first range.
    """
    places = (
        PlaceRange(first=1, last=8, percent_total=97 * PERCENT + PERCENT // 2),
        PlaceRange(first=9, last=16, percent_total=2 * PERCENT + PERCENT // 2),
    )
    assert place_amounts(net=10_000, places=places) == (*(1_219,) * 8, *(31,) * 8)


def test_more_players_than_places_pay_the_places() -> None:
    """A player below the last paid place gets nothing, and no line."""
    prizes = settle_result(rule=make_rule(), results=placed(*(f"p{n}" for n in range(9))))
    assert (len(prizes.lines), prizes.unclaimed) == (3, 0)


def test_a_broken_tie_gives_each_player_a_place_of_their_own() -> None:
    """More of the score is better; the stated place after the tie stays what it was."""
    results = field(ann=(1, 3), bob=(2, 5), cyd=(2, 7), dan=(4, 9))
    prizes = settle_result(rule=make_rule(**BROKEN), results=results)
    assert paid(prizes.lines) == {"ann": 5_000, "cyd": 3_000, "bob": 2_000}
    assert [line.place for line in prizes.lines] == [1, 2, 3]


def test_a_tie_break_can_prefer_the_smaller_score() -> None:
    """Time, strokes, countbacks: `asc` takes the least."""
    rule = make_rule(ties=TiePolicy.BREAK, tie_break=TieBreak(score="buchholz", descending=False))
    results = field(ann=(1, 3), bob=(2, 5), cyd=(2, 7))
    assert paid(settle_result(rule=rule, results=results).lines) == {"ann": 5_000, "bob": 3_000, "cyd": 2_000}


def test_a_tie_break_below_zero_is_a_score_like_others() -> None:
    """Scores may be negative, and zero is more than they are."""
    results = field(ann=(1, 0), bob=(1, 0))
    results[1] = PlayerResult("bob", 1, {"buchholz": -1})
    assert paid(settle_result(rule=make_rule(**BROKEN), results=results).lines) == {
        "ann": 5_000,
        "bob": 3_000,
    }


def test_players_who_are_equal_after_the_tie_break_split() -> None:
    """Three on one place, two of them with an equal tie-break: the two share the sum of their two places."""
    results = field(ann=(1, 9), cyd=(1, 4), bob=(1, 4))
    prizes = settle_result(rule=make_rule(**BROKEN, gross=10_001), results=results)
    assert paid(prizes.lines) == {"ann": 5_001, "bob": 2_500, "cyd": 2_500}
    assert [line.place for line in prizes.lines] == [1, 2, 2]


def test_a_break_over_the_last_paid_place_decides_who_is_paid() -> None:
    """Two on the last paid place: one is paid whole, the other not at all."""
    results = field(ann=(1, 1), bob=(2, 1), cyd=(3, 5), dan=(3, 6))
    assert paid(settle_result(rule=make_rule(**BROKEN), results=results).lines) == {
        "ann": 5_000, "bob": 3_000, "dan": 2_000,
    }  # fmt: skip


def test_a_ranking_by_score_is_broken_by_another() -> None:
    """Points first, Buchholz among equal points."""
    rule = make_rule(**BROKEN, rank_by=RankBy(score="points"))
    results = [
        PlayerResult("ann", None, {"points": points("7.5"), "buchholz": points(50)}),
        PlayerResult("bob", None, {"points": points("7.5"), "buchholz": points(51)}),
        PlayerResult("cyd", None, {"points": points(8), "buchholz": points(40)}),
    ]
    assert paid(settle_result(rule=rule, results=results).lines) == {"cyd": 5_000, "bob": 3_000, "ann": 2_000}


def test_a_missing_tie_break_is_refused_tie_or_not() -> None:
    """Every player needs the score, whether or not two players are equal."""
    results = [*field(ann=(1, 3)), PlayerResult("bob", 2, {})]
    with pytest.raises(ReportRefused) as refused:
        settle_result(rule=make_rule(**BROKEN), results=results)
    assert refused.value.reason is Reason.SCORE_MISSING
    assert "buchholz" in refused.value.detail


def test_unclaimed_prizes_are_spread_in_proportion() -> None:
    """Two players under top3: the third prize of 20.00 goes 5 to 3 to the two."""
    prizes = settle_result(rule=make_rule(**SPREAD), results=placed("ann", "bob"))
    assert (paid(prizes.lines), prizes.unclaimed) == ({"ann": 6_250, "bob": 3_750}, 0)


def test_one_player_of_ten_places_takes_the_table() -> None:
    """The only placed player gets the prizes of all places."""
    prizes = settle_result(rule=make_rule(template="top10", **SPREAD), results=placed("ann"))
    assert (paid(prizes.lines), prizes.unclaimed) == ({"ann": 10_000}, 0)


def test_a_gap_in_stated_places_is_spread_too() -> None:
    """A place without a player counts as unclaimed."""
    prizes = settle_result(rule=make_rule(**SPREAD), results=placed(ann=1, bob=3))
    assert paid(prizes.lines) == {"ann": 7_143, "bob": 2_857}


def test_the_rest_outside_the_table_is_not_spread() -> None:
    """Percentages below 100 leave a rest on purpose: it stays unclaimed."""
    places = (
        PlaceRange(first=1, last=1, percent_total=60 * PERCENT),
        PlaceRange(first=2, last=2, percent_total=20 * PERCENT),
    )
    rule = make_rule(template=None, places=places, **SPREAD)
    prizes = settle_result(rule=rule, results=placed("ann"))
    assert (paid(prizes.lines), prizes.unclaimed) == ({"ann": 8_000}, 2_000)


def test_fixed_amounts_are_spread_and_points_are_not() -> None:
    """The untaken place of 30.00 is shared 5 to 1 by the two who were placed; points are paid as they are."""
    rule = make_rule(
        template=None,
        places=fixed(5_000, 1_000, 3_000),
        per_point=PerPoint(score="kills", per=points(1), amount=10),
        **SPREAD,
    )
    results = [
        PlayerResult("ann", 1, {"kills": points(3)}),
        PlayerResult("bob", 2, {"kills": 0}),
        PlayerResult("cyd", 9, {"kills": points(2)}),
    ]
    prizes = settle_result(rule=rule, results=results)
    assert (paid(prizes.lines), prizes.unclaimed) == ({"ann": 7_530, "bob": 1_500, "cyd": 20}, 950)


def test_points_beyond_what_is_left_after_a_spread_are_refused() -> None:
    """The places use the whole net prize up, so nothing is left for points."""
    rule = make_rule(
        template=None,
        places=fixed(5_000, 5_000),
        per_point=PerPoint(score="kills", per=points(1), amount=1),
    )
    results = [PlayerResult("ann", 1, {"kills": points(1)})]
    assert settle_result(rule=rule, results=results).unclaimed == 4_999
    with pytest.raises(ReportRefused) as refused:
        settle_result(
            rule=make_rule(template=None, places=rule.places, per_point=rule.per_point, **SPREAD),
            results=results,
        )
    assert refused.value.reason is Reason.INVALID_AMOUNT


def test_nobody_in_a_paid_place_leaves_nothing_to_spread_over() -> None:
    """All stated places lie below the paid ones: everything goes back to the pool."""
    prizes = settle_result(rule=make_rule(**SPREAD), results=placed(ann=7, bob=8))
    assert (prizes.lines, prizes.unclaimed) == ((), 10_000)


def test_tied_players_differ_by_one_unit_after_a_spread_as_well() -> None:
    """Two tied on 3 units (2 and 1) and one unit to spread: it goes to the one who had no odd unit."""
    rule = make_rule(template=None, gross=4, places=fixed(2, 1, 1), **SPREAD)
    assert paid(settle_result(rule=rule, results=placed(ann=1, bob=1)).lines) == {"ann": 2, "bob": 2}
    rule = make_rule(template=None, gross=5, places=fixed(2, 1, 2), **SPREAD)
    assert paid(settle_result(rule=rule, results=placed(ann=1, bob=1)).lines) == {"ann": 3, "bob": 2}


def test_a_spread_may_fill_a_line_that_was_empty() -> None:
    """One unit tied between two, one unit to spread: both get a line."""
    rule = make_rule(template=None, gross=2, places=fixed(1, 0, 1), **SPREAD)
    assert paid(settle_result(rule=rule, results=placed(ann=1, bob=1)).lines) == {"ann": 1, "bob": 1}


def test_among_equal_remainders_the_better_place_gets_the_spread_unit() -> None:
    """Three places of one unit, two players: the third unit goes to the first of them."""
    rule = make_rule(template=None, gross=3, places=fixed(1, 1, 1), **SPREAD)
    assert paid(settle_result(rule=rule, results=placed("zoe", "ann")).lines) == {"zoe": 2, "ann": 1}


@pytest.mark.parametrize(
    ("gross", "platform", "organizer", "expected"),
    [
        (10_000, 0, 0, (0, 0, 10_000)),
        (10_000, 10_000, 0, (10_000, 0, 0)),
        (10_000, 0, 10_000, (0, 10_000, 0)),
        (10_000, 5_000, 5_000, (5_000, 5_000, 0)),
        (0, 1_000, 500, (0, 0, 0)),
        (1, 9_999, 1, (0, 0, 1)),
        (9_999, 1, 1, (0, 0, 9_999)),
        (10_001, 1, 9_999, (1, 9_999, 1)),
        (333, 3_333, 3_333, (110, 110, 113)),
        (2**63 - 1, 10_000, 0, (2**63 - 1, 0, 0)),
        (2**63 - 1, 1, 1, (922337203685477, 922337203685477, 2**63 - 1 - 2 * 922337203685477)),
    ],
)
def test_fees_at_their_edges(
    gross: int, platform: int, organizer: int, expected: tuple[int, int, int]
) -> None:
    """From zero to the whole; each fee is rounded down by itself, and the remainder belongs to the players."""
    rule = make_rule(gross=gross, platform_bps=platform, organizer_bps=organizer)
    prizes = settle_result(rule=rule, results=placed("ann", "bob", "cyd"))
    fees = prizes.fees
    assert (fees.platform, fees.organizer, fees.net) == expected
    assert sum(line.amount for line in prizes.lines) + prizes.unclaimed == fees.net


def test_everything_in_fees_leaves_no_lines() -> None:
    """A net prize of zero pays nobody, whatever the rule."""
    for changes in ({}, SPREAD):
        prizes = settle_result(rule=make_rule(platform_bps=10_000, **changes), results=placed("ann", "bob"))
        assert (prizes.lines, prizes.unclaimed) == ((), 0)


@pytest.mark.parametrize("unclaimed", list(Unclaimed))
@pytest.mark.parametrize("tied", [1, 7, 100_000], ids=["nobody tied", "sevens tied", "everybody tied"])
@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=pytest.mark.large)])
def test_many_players_are_paid_exactly(tied: int, count: int, unclaimed: Unclaimed) -> None:
    """Thousands of paid places, or as many as a rule may have: alone, in ties, or all on one place."""
    rule = make_rule(
        template=None,
        gross=10**12 + 7,
        places=(
            PlaceRange(first=1, last=1, percent_total=10 * PERCENT),
            PlaceRange(first=2, last=count, percent_total=90 * PERCENT),
        ),
        unclaimed=unclaimed,
    )
    results = [PlayerResult(f"p{n:06}", 1 + n - n % tied, {}) for n in range(count - 7)]
    prizes = settle_result(rule=rule, results=results)
    amounts = [line.amount for line in prizes.lines]
    assert len(amounts) == count - 7
    assert sum(amounts) + prizes.unclaimed == 10**12 + 7
    assert (prizes.unclaimed == 0) == (unclaimed is Unclaimed.SPREAD)
    assert amounts == sorted(amounts, reverse=True)


def test_a_rule_that_is_not_stored_is_not_kept() -> None:
    """Previews of many rules must not crowd out the plans of those in use."""
    assert plan_of(make_rule(version=0)) is not plan_of(make_rule(version=0))
    assert plan_of(make_rule()) is plan_of(make_rule())


@pytest.mark.parametrize(("percent", "amount"), [(33, 3), (35, 4), (36, 4)])
def test_the_rest_outside_the_table_takes_part_in_the_rounding(percent: int, amount: int) -> None:
    """Of 10 units: the rest gets the odd unit where its remainder is larger (3.3 and 6.7), and not where both are equal."""
    places = (PlaceRange(first=1, last=1, percent_total=percent * PERCENT),)
    assert place_amounts(net=10, places=places) == (amount,)


def test_tied_players_weigh_equally_in_a_spread() -> None:
    """Two tied on 3 units weigh 1.5 each, not 2 and 1; the third place weighs 1. Of 10 units they get 4, 4 and 2."""
    rule = make_rule(template=None, places=fixed(2, 1, 1, 10), **SPREAD)
    prizes = settle_result(rule=rule, results=placed(ann=1, bob=1, cat=3))
    assert paid(prizes.lines) == {"ann": 6, "bob": 5, "cat": 3}
