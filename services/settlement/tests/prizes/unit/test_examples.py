"""Published competitions, settled: every line as its source has it, to the minor unit."""

from collections import Counter
from fractions import Fraction

import pytest

from prizewire_money import Amount, Asset
from prizewire_settlement.competitions.domain.model import PlaceRange
from prizewire_settlement.competitions.domain.rules import PERCENT_WHOLE, check_rule, place_amounts
from prizewire_settlement.prizes.domain import PlayerResult, settle_result
from services.settlement.tests.examples import EXAMPLES, load_example
from services.settlement.tests.fakes import make_rule

SHAPES = {
    "candidates-2024": "round robin: tied places and an amount for each half-point",
    "fortnite-world-cup-2019-solo": "battle royale: a hundred places, most of them in ranges",
    "hero-world-challenge-2023": "golf: a purse shared by ties",
    "iom-masters-2015": "chess open: places shared, by ten over the last paid one",
    "pga-2022-leaderboard": "golf: a published purse over a made leaderboard",
    "small-round": "made: fees",
    "tbt-2018-final": "basketball: the winner takes all",
    "the-international-2018": "a MOBA's world final: place ranges",
    "wsop-2019-final-table": "poker: a payout ladder",
}
"""The purpose of each folder under `examples/` that holds a prize list."""
_OTHERS = {"game_server", "outside-rail"}
"""A game server's script and a rail's package, which tests of their own run."""


def test_every_example_is_checked() -> None:
    """A folder with a prize list that is added is settled here as well, and stands in the list of examples."""
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()} - _OTHERS
    assert folders == SHAPES.keys()
    listed = (EXAMPLES / "README.md").read_text()
    assert [name for name in sorted(folders) if f"`{name}`" not in listed] == []


@pytest.mark.parametrize("name", SHAPES)
def test_an_example_pays_what_was_published(name: str) -> None:
    """Player, place and amount of every line in its order, the net prize, and the unclaimed rest."""
    example = load_example(name)
    rule = example.rule
    check_rule(rule)
    prizes = settle_result(rule=rule, results=example.field)
    expected = example.expected
    assert [
        {"player": line.player, "place": line.place, "amount": Amount(rule.asset, line.amount).to_wire()}
        for line in prizes.lines
    ] == expected["lines"]
    assert Amount(rule.asset, prizes.fees.net).to_wire() == expected["net"]
    assert Amount(rule.asset, prizes.unclaimed).to_wire() == expected["unclaimed"]


@pytest.mark.parametrize("name", SHAPES)
def test_published_figures_add_up_and_name_their_source(name: str) -> None:
    """What a source published makes the whole prize; title, publisher and date say where it stands."""
    expected = load_example(name).expected
    paid = sum(Fraction(line["amount"]) for line in expected["lines"])
    assert paid + Fraction(expected["unclaimed"]) == Fraction(expected["net"])
    assert expected["sources"]
    assert all(source["title"] and source["publisher"] and source["date"] for source in expected["sources"])


def test_the_examples_have_the_ties_they_are_there_for() -> None:
    """Pairs, three on one place, ten over the last paid place, and rounds of two and four teams."""
    shared = {
        name: sorted(
            n
            for n in Counter(line["place"] for line in load_example(name).expected["lines"]).values()
            if n > 1
        )
        for name in SHAPES
    }
    assert shared["hero-world-challenge-2023"] == [2, 2, 2]
    assert shared["candidates-2024"] == [3]
    assert shared["iom-masters-2015"] == [2, 3, 10]
    assert shared["the-international-2018"] == [2, 2, 2, 4, 4]


def test_the_real_ties_of_the_pga_championship_were_shared_like_this() -> None:
    """The published shares are rounded to dollars; ours are exact, and round to them."""
    example = load_example("pga-2022-leaderboard")
    field: list[PlayerResult] = []
    published: dict[int, int] = {}
    for tie in example.expected["published_ties"]:
        first, last = map(int, tie["places"].split("-"))
        published[first] = int(tie["each"])
        field += [PlayerResult(f"p{n:02}", first, {}) for n in range(first, last + 1)]
    rule = make_rule(template=None, gross=example.rule.gross, places=example.rule.places)
    lines = settle_result(rule=rule, results=field).lines
    assert len(lines) == len(field) == 30
    assert all((line.amount + 50) // 100 == published[line.place] for line in lines)


def test_the_international_was_shared_by_percent_in_whole_dollars() -> None:
    """Largest remainder over percentages of the fund gives the published amounts, dollar by dollar."""
    example = load_example("the-international-2018")
    percents = ("44", "16", "10.5", "7", "9", "5", "6", "2", "0.5")
    dollars = Asset("DOLLAR", 0, True)
    places = tuple(
        PlaceRange(first=row.first, last=row.last, percent_total=int(Fraction(percent) * PERCENT_WHOLE / 100))
        for row, percent in zip(example.rule.places, percents, strict=True)
    )
    fund = example.rule.gross // example.rule.asset.scale
    prizes = settle_result(
        rule=make_rule(template=None, asset=dollars, gross=fund, places=places), results=example.field
    )
    assert [f"{line.amount}.00" for line in prizes.lines] == [
        line["amount"] for line in example.expected["lines"]
    ]
    assert sum(place_amounts(net=fund, places=places)) == fund == 25_532_177
