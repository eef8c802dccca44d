"""The checks of a rule."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_settlement.competitions.domain.model import (
    PerPoint,
    PlaceRange,
    RankBy,
    Rule,
    Source,
    TieBreak,
    TiePolicy,
    Unclaimed,
)
from prizewire_settlement.competitions.domain.rules import (
    PERCENT_WHOLE,
    PLACES_MAX,
    TEMPLATES,
    check_rule,
    percent_from_text,
    percent_to_text,
    places_from_text,
    places_to_text,
    template_places,
)
from prizewire_settlement.errors import RuleInvalid
from services.settlement.tests.fakes import KEY, NOW, SOURCE, make_rule, source_key

HALF = PERCENT_WHOLE // 2


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_named_templates_give_the_whole_away(name: str) -> None:
    """The percentages of a named template sum to 100, and its rule is valid."""
    assert sum(entry.percent_total or 0 for entry in template_places(name)) == PERCENT_WHOLE
    check_rule(make_rule(template=name))


@given(st.integers(0, PERCENT_WHOLE))
def test_percentages_read_back_as_they_were_written(percent: int) -> None:
    """A percentage keeps its value through text and back."""
    assert percent_from_text(percent_to_text(percent), field="x") == percent


@pytest.mark.parametrize(
    "text", ["100.000001", "2.5000001", "-1", "1e1", "", " 5", "05", "5.", ".5", "\u0665", "NaN"]
)
def test_invalid_percentages_are_refused(text: str) -> None:
    """From 0 to 100, plain digits with at most six decimals."""
    with pytest.raises(RuleInvalid) as invalid:
        percent_from_text(text, field="x")
    assert invalid.value.code == "percent_invalid"


@given(st.integers(1, PLACES_MAX), st.integers(0, 100))
def test_places_read_back_as_they_were_written(first: int, more: int) -> None:
    """A range keeps its places through text and back."""
    last = min(first + more, PLACES_MAX)
    entry = PlaceRange(first=first, last=last, percent_total=1)
    assert places_from_text(places_to_text(entry), field="x") == (first, last)


@pytest.mark.parametrize("text", ["0", "2-1", "1-", "-1", "1 - 2", "1-100001", "one", "", "\u0661"])
def test_invalid_ranges_are_refused(text: str) -> None:
    """A range has one or two places, the better first, up to the last payable place."""
    with pytest.raises(RuleInvalid) as invalid:
        places_from_text(text, field="x")
    assert invalid.value.code == "places_invalid"


def rows(*entries: tuple[int, int, int | None, int | None]) -> dict[str, Any]:
    places = tuple(PlaceRange(first=a, last=b, percent_total=p, amount_each=e) for a, b, p, e in entries)
    return {"template": None, "places": places}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"gross": -1}, "amount_negative"),
        ({"platform_bps": 6_000, "organizer_bps": 4_001}, "fees_invalid"),
        ({"dispute_window": timedelta(days=367)}, "dispute_window_invalid"),
        (rows(), "template_empty"),
        (rows((2, 2, HALF, None)), "places_not_contiguous"),
        (rows((1, 2, HALF, None), (2, 3, HALF, None)), "places_not_contiguous"),
        (rows((1, 1, None, None)), "row_invalid"),
        (rows((1, 1, HALF, 5)), "row_invalid"),
        (rows((1, 1, HALF, None), (2, 2, None, 5)), "table_mixed"),
        (rows((1, 1, HALF, None), (2, 2, HALF + 1, None)), "percent_exceeds_whole"),
        (rows(*((n, n, 1, None) for n in range(1, 1_002))), "table_too_long"),
        (rows((1, 2, None, 5_001)), "prizes_exceed_net"),
        ({"organizer_bps": 1}, "organizer_missing"),
        ({"template": None, "per_point": PerPoint(score="points", per=0, amount=1)}, "per_point_invalid"),
        ({"template": None, "per_point": PerPoint(score="points", per=1, amount=0)}, "per_point_invalid"),
        ({"ties": TiePolicy.BREAK}, "tie_break_invalid"),
        ({"tie_break": TieBreak(score="buchholz")}, "tie_break_invalid"),
        (
            {
                "ties": TiePolicy.BREAK,
                "tie_break": TieBreak(score="points", descending=False),
                "rank_by": RankBy(score="points"),
            },
            "tie_break_invalid",
        ),
        (
            {
                "template": None,
                "per_point": PerPoint(score="points", per=1, amount=1),
                "unclaimed": Unclaimed.SPREAD,
            },
            "unclaimed_invalid",
        ),
        ({"sources": tuple(Source(source=f"/{n}") for n in range(51))}, "sources_invalid"),
        ({"sources": (Source(source=SOURCE), Source(source=SOURCE))}, "source_twice"),
        ({"sources": (Source(source=SOURCE, keys=(source_key(), source_key())),)}, "key_twice"),
        (
            {"sources": (Source(source=SOURCE, keys=tuple(source_key(keyid=f"k{n}") for n in range(11))),)},
            "keys_invalid",
        ),
        (
            {"sources": (Source(source=SOURCE, keys=(source_key(not_after=NOW, not_before=NOW),)),)},
            "key_validity_invalid",
        ),
    ],
)
def test_invalid_rules_are_refused(changes: dict[str, Any], code: str) -> None:
    """Each refusal has a stable code and names the field."""
    with pytest.raises(RuleInvalid) as invalid:
        check_rule(make_rule(**changes))
    assert invalid.value.code == code
    assert invalid.value.field


@pytest.mark.parametrize(
    "rule",
    [
        make_rule(),
        make_rule(**rows((1, 1, HALF, None), (2, 9, HALF // 2, None))),
        make_rule(**rows((1, 2, None, 5_000))),
        make_rule(template=None, per_point=PerPoint(score="points", per=1, amount=1)),
        make_rule(ties=TiePolicy.BREAK, tie_break=TieBreak(score="buchholz")),
        make_rule(unclaimed=Unclaimed.SPREAD),
        make_rule(**rows((1, 2, None, 4_000)), unclaimed=Unclaimed.SPREAD),
        make_rule(sources=()),
        make_rule(sources=(Source(source=SOURCE, keys=(source_key(KEY),)),)),
        make_rule(gross=0),
    ],
)
def test_valid_rules_pass(rule: Rule) -> None:
    """Percentages, fixed amounts, points; nobody may report until a source is named."""
    check_rule(rule)
    check_rule(replace(rule, version=2))


def test_an_unknown_template_is_refused() -> None:
    """The names are a closed list."""
    with pytest.raises(RuleInvalid) as invalid:
        template_places("top4")
    assert invalid.value.code == "template_unknown"
