"""Prize arithmetic: exact and stable."""

import random
from collections import defaultdict
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_money import Asset, allocate
from prizewire_settlement.competitions.domain.model import (
    Overflow,
    PerPoint,
    PlaceRange,
    RankBy,
    Rule,
    TiePolicy,
)
from prizewire_settlement.competitions.domain.rules import PERCENT_WHOLE, place_amounts, plan_of
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.prizes.domain import PlayerResult, settle_result
from services.settlement.tests.fakes import EURC, make_rule, paid, placed, points

PERCENT = PERCENT_WHOLE // 100


def percents(*rows: tuple[int, int, int]) -> tuple[PlaceRange, ...]:
    """(first, last, whole percent of the net prize for all of them)."""
    return tuple(PlaceRange(first=a, last=b, percent_total=p * PERCENT) for a, b, p in rows)


def test_fees_come_off_the_gross_prize_first() -> None:
    """Fees are rounded down, so that the players get what rounding leaves."""
    prizes = settle_result(
        rule=make_rule(gross=1_001, platform_bps=1_000, organizer_bps=500),
        results=placed("ann", "bob", "cyd"),
    )
    assert (prizes.fees.platform, prizes.fees.organizer, prizes.fees.net) == (100, 50, 851)
    assert sum(paid(prizes.lines).values()) == 851


def test_a_range_shares_its_percentage_and_the_better_place_gets_the_odd_unit() -> None:
    """Largest remainder over places; equal remainders go to the better place."""
    assert place_amounts(net=100, places=percents((1, 3, 100))) == (34, 33, 33)
    assert place_amounts(net=1_001, places=percents((1, 1, 50), (2, 3, 30), (4, 8, 20))) == (
        501, 150, 150, 40, 40, 40, 40, 40,
    )  # fmt: skip


def test_percentages_below_the_whole_leave_the_rest_unclaimed() -> None:
    """What the percentages do not give away stays in the pool."""
    rule = make_rule(template=None, places=percents((1, 1, 60), (2, 2, 15)))
    prizes = settle_result(rule=rule, results=placed("ann", "bob"))
    assert (paid(prizes.lines), prizes.unclaimed) == ({"ann": 6_000, "bob": 1_500}, 2_500)


def test_fewer_players_than_places_leave_their_prizes_unclaimed() -> None:
    """A place without a player pays nobody."""
    prizes = settle_result(rule=make_rule(), results=placed("ann"))
    assert (paid(prizes.lines), prizes.unclaimed) == ({"ann": 5_000}, 5_000)


def test_everybody_tied_shares_everything() -> None:
    """Five players in first place share all three prizes; the odd cents go by player id."""
    results = placed(eve=1, dan=1, cyd=1, bob=1, ann=1, fay=1, gus=1)
    prizes = settle_result(rule=make_rule(), results=results)
    assert paid(prizes.lines) == {
        "ann": 1_429, "bob": 1_429, "cyd": 1_429, "dan": 1_429, "eve": 1_428, "fay": 1_428, "gus": 1_428,
    }  # fmt: skip
    assert {line.place for line in prizes.lines} == {1}


def test_a_tie_past_the_last_paid_place_shares_what_there_is() -> None:
    """Third place is shared by four players though only one place of theirs is paid."""
    results = (*placed("ann", "bob"), *placed(cyd=3, dan=3, eve=3, fay=3))
    assert paid(settle_result(rule=make_rule(), results=results).lines) == {
        "ann": 5_000, "bob": 3_000, "cyd": 500, "dan": 500, "eve": 500, "fay": 500,
    }  # fmt: skip


def test_one_player_takes_the_first_prize() -> None:
    """A field of one is no tie."""
    prizes = settle_result(rule=make_rule(template="winner_takes_all"), results=placed("ann"))
    assert (paid(prizes.lines), prizes.unclaimed) == ({"ann": 10_000}, 0)


def test_a_prize_of_zero_has_no_lines() -> None:
    """A net prize of zero is shared without lines."""
    prizes = settle_result(rule=make_rule(gross=0), results=placed("ann", "bob"))
    assert (prizes.lines, prizes.unclaimed) == ((), 0)


def test_amounts_too_small_to_share_make_no_empty_lines() -> None:
    """Two cents among three tied players make two lines; the third player gets no line."""
    prizes = settle_result(rule=make_rule(gross=2), results=placed(ann=1, bob=1, cyd=1))
    assert paid(prizes.lines) == {"ann": 1, "bob": 1}


def test_dense_places_are_read_as_ties_take_places() -> None:
    """After 1, 2, 2 a stated 3 holds place 4: no place is paid twice."""
    prizes = settle_result(rule=make_rule(), results=placed(ann=1, bob=2, cyd=2, dan=3))
    assert paid(prizes.lines) == {"ann": 5_000, "bob": 2_500, "cyd": 2_500}


def test_a_gap_in_stated_places_is_not_closed() -> None:
    """No player gets a better place than stated: the prize of the missing place is unclaimed."""
    prizes = settle_result(rule=make_rule(), results=placed(ann=1, bob=3))
    assert (paid(prizes.lines), prizes.unclaimed) == ({"ann": 5_000, "bob": 2_000}, 3_000)


def test_points_below_zero_earn_nothing_and_broken_steps_are_not_paid() -> None:
    """Every whole step of the score is paid, whatever the place."""
    rule = make_rule(
        template=None,
        per_point=PerPoint(score="kills", per=points(2), amount=100),
        rank_by=RankBy(score="kills"),
    )
    results = [
        PlayerResult("ann", None, {"kills": points("7.9")}),
        PlayerResult("bob", None, {"kills": points(1)}),
        PlayerResult("cyd", None, {"kills": -points(9)}),
    ]
    assert paid(settle_result(rule=rule, results=results).lines) == {"ann": 300}


def test_points_go_on_top_of_percentages() -> None:
    """Places share their percentages of the net prize, and every point is paid beside them."""
    rule = make_rule(
        template=None,
        places=percents((1, 1, 50), (2, 2, 20)),
        per_point=PerPoint(score="kills", per=points(1), amount=100),
    )
    results = [PlayerResult("ann", 1, {"kills": points(3)}), PlayerResult("bob", 2, {"kills": points(4)})]
    prizes = settle_result(rule=rule, results=results)
    assert (paid(prizes.lines), prizes.unclaimed) == ({"ann": 5_300, "bob": 2_400}, 2_300)


def test_points_that_come_to_more_than_is_left_share_it() -> None:
    """Places keep what they earn; the points share the rest pro rata, to the unit; or the rule refuses the result."""
    rule = make_rule(
        template=None,
        places=percents((1, 1, 50), (2, 2, 20)),
        per_point=PerPoint(score="kills", per=points(1), amount=1_000, overflow=Overflow.PRO_RATA),
    )
    results = [
        PlayerResult("ann", 1, {"kills": points(3)}),
        PlayerResult("bob", 2, {"kills": points(3)}),
        PlayerResult("cyd", 3, {"kills": points(1)}),
    ]
    prizes = settle_result(rule=rule, results=results)
    assert paid(prizes.lines) == {"ann": 5_000 + 1_286, "bob": 2_000 + 1_286, "cyd": 428}
    assert prizes.unclaimed == 0
    strict = make_rule(
        template=None, places=rule.places, per_point=PerPoint(score="kills", per=points(1), amount=1_000)
    )
    with pytest.raises(ReportRefused) as refused:
        settle_result(rule=strict, results=results)
    assert refused.value.reason is Reason.INVALID_AMOUNT
    assert "the prizes come to 140.00 EURC, the net prize is 100.00 EURC" in refused.value.detail


@pytest.mark.parametrize(
    ("results", "changes", "reason"),
    [
        ((*placed("ann"), *placed("ann")), {}, Reason.DUPLICATE_PLAYER),
        ((PlayerResult("ann", None, {"points": 1}),), {}, Reason.SCORE_MISSING),
        (placed("ann"), {"rank_by": RankBy(score="points")}, Reason.SCORE_MISSING),
        (
            placed("ann"),
            {"template": None, "per_point": PerPoint(score="points", per=1, amount=1)},
            Reason.SCORE_MISSING,
        ),
        (placed(ann=1, bob=1), {"ties": TiePolicy.REFUSE}, Reason.TIE_REFUSED),
        (placed("ann", "bob", cyd=3, dan=3), {"ties": TiePolicy.REFUSE}, Reason.TIE_REFUSED),
        (
            (PlayerResult("ann", 1, {"points": points(101)}),),
            {"template": None, "per_point": PerPoint(score="points", per=points(1), amount=100)},
            Reason.INVALID_AMOUNT,
        ),
    ],
    ids=["twice", "no place", "no score", "no points", "tie at the top", "tie at the edge", "beyond net"],
)
def test_results_that_the_rule_cannot_pay_are_refused(
    results: tuple[PlayerResult, ...], changes: dict[str, object], reason: Reason
) -> None:
    """Each refusal has its stable reason."""
    with pytest.raises(ReportRefused) as refused:
        settle_result(rule=make_rule(**changes), results=results)
    assert (refused.value.reason, refused.value.park) == (reason, False)


def test_a_tie_below_the_paid_places_is_no_reason_to_refuse() -> None:
    """The policy refuse does not refuse ties below the paid places."""
    results = (*placed("ann", "bob", "cyd"), *placed(dan=4, eve=4))
    assert len(settle_result(rule=make_rule(ties=TiePolicy.REFUSE), results=results).lines) == 3


def test_a_long_table_is_worked_out_once_for_a_rule() -> None:
    """The plan of a stored rule is cached."""
    rule = make_rule(template=None, places=percents((1, 70_000, 100)), gross=10**12)
    assert plan_of(rule) is plan_of(rule)
    assert sum(plan_of(rule).amounts) == 10**12


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Percent tables, fixed tables with points, with fees, by place or score."""
    gross = draw(st.integers(0, 10**12))
    fees = {
        "platform_bps": draw(st.integers(0, 4_000)),
        "organizer_bps": draw(st.integers(0, 4_000)),
        "organizer_player": "org",
    }
    by = draw(st.sampled_from([RankBy(), RankBy(score="points"), RankBy(score="points", descending=False)]))
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    firsts = [1 + sum(sizes[:n]) for n in range(len(sizes))]
    ranges = list(zip(firsts, (a + s - 1 for a, s in zip(firsts, sizes, strict=True)), strict=True))
    common = {"template": None, "rank_by": by, "gross": gross, **fees}
    sharing = PerPoint(
        score="points",
        per=points("0.5"),
        amount=draw(st.integers(1, gross + 1)),
        overflow=Overflow.PRO_RATA,
    )
    common["per_point"] = draw(st.sampled_from([None, sharing]))
    if draw(st.booleans()):
        shares = allocate(
            PERCENT_WHOLE, draw(st.lists(st.integers(1, 99), min_size=len(sizes), max_size=len(sizes)))
        )
        whole = draw(st.integers(1, PERCENT_WHOLE))
        places = tuple(
            PlaceRange(first=a, last=b, percent_total=share * whole // PERCENT_WHOLE or 1)
            for (a, b), share in zip(ranges, shares, strict=True)
        )
        return make_rule(places=places, **common)
    net = plan_of(make_rule(**common)).fees.net
    each = net // (2 * sum(sizes)) if net else 0
    places = tuple(PlaceRange(first=a, last=b, amount_each=draw(st.integers(0, each))) for a, b in ranges)
    affordable = net // 2 // (20 * 18)
    per_point = common.pop("per_point")
    if affordable and draw(st.booleans()):
        per_point = PerPoint(score="points", per=points("0.5"), amount=draw(st.integers(1, affordable)))
    return make_rule(places=places, per_point=per_point, **common)


@st.composite
def fields(draw: st.DrawFn) -> list[PlayerResult]:
    """Up to twenty players with few distinct places and scores, so that ties are common."""
    names = draw(st.lists(st.text("abcdefgh", min_size=1, max_size=3), min_size=1, max_size=20, unique=True))
    return [
        PlayerResult(name, draw(st.integers(1, 9)), {"points": draw(st.integers(-2, 18)) * points("0.5")})
        for name in names
    ]


@given(rule=rules(), field=fields(), order=st.randoms(use_true_random=False))
def test_lines_always_sum_exactly_and_do_not_depend_on_the_order(
    rule: Rule, field: list[PlayerResult], order: random.Random
) -> None:
    """Lines and unclaimed make the net prize, fees and net the gross; a shuffled result pays the same."""
    prizes = settle_result(rule=rule, results=field)
    fees = prizes.fees
    assert sum(line.amount for line in prizes.lines) + prizes.unclaimed == fees.net
    assert fees.platform + fees.organizer + fees.net == fees.gross
    assert prizes.unclaimed >= 0
    assert all(line.amount > 0 for line in prizes.lines)
    assert [line.line for line in prizes.lines] == list(range(1, len(prizes.lines) + 1))
    shuffled = list(field)
    order.shuffle(shuffled)
    assert settle_result(rule=rule, results=shuffled) == prizes


@given(rule=rules(), field=fields())
def test_equal_results_earn_equally_to_the_smallest_unit(rule: Rule, field: list[PlayerResult]) -> None:
    """Players with equal rank differ by at most one unit, apart from their points."""
    bare = make_rule(
        template=None, gross=rule.gross, places=rule.places, rank_by=rule.rank_by, platform_bps=rule.platform_bps,
        organizer_bps=rule.organizer_bps,
    )  # fmt: skip
    amounts = paid(settle_result(rule=bare, results=field).lines)
    groups: dict[int, list[int]] = defaultdict(list)
    for result in field:
        key = result.place if rule.rank_by.score is None else result.scores["points"]
        assert key is not None
        groups[key].append(amounts.get(result.player, 0))
    assert all(max(group) - min(group) <= 1 for group in groups.values())


@given(st.integers(0, 10**15), st.integers(1, 40))
def test_units_without_decimals_are_shared_as_exactly(net: int, size: int) -> None:
    """Assets with zero and with nine decimals are counted in the same way."""
    for asset in (Asset("SEASON", 0, False), Asset("TON", 9, True), EURC):
        rule = make_rule(template=None, asset=asset, gross=net, places=percents((1, size, 100)))
        prizes = settle_result(rule=rule, results=placed(*(f"p{n:02}" for n in range(size))))
        amounts = [line.amount for line in prizes.lines]
        assert sum(amounts) == net
        assert max(amounts, default=0) - min(amounts, default=0) <= 1


def test_rules_differ_by_their_dispute_window() -> None:
    """Two rules of one name and version with different windows are not equal, so caches keep both."""
    assert make_rule() != make_rule(dispute_window=timedelta(hours=1))
    assert plan_of(make_rule(gross=1)).fees.gross == 1
    assert plan_of(make_rule(gross=2)).fees.gross == 2
