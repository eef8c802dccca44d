"""Moments in query parameters."""

from datetime import UTC, datetime

import pytest
from jsonschema import Draft202012Validator

from prizewire_chassis.http.moments import MOMENT_SCHEMA, moment_of, period_of
from prizewire_chassis.problems import Problem

SCHEMA = Draft202012Validator(MOMENT_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00.5z", datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31T12:00:00.123456789+02:00", datetime(2026, 1, 31, 10, 0, 0, 123_456, tzinfo=UTC)),
        ("1970-01-01T00:00:00+14:00", datetime(1969, 12, 31, 10, tzinfo=UTC)),
        ("9998-12-31", datetime(9998, 12, 31, tzinfo=UTC)),
    ],
)
def test_dates_and_moments_are_taken(text: str, moment: datetime) -> None:
    """A date is its beginning in UTC; the schema takes the same."""
    assert moment_of(text, name="from") == moment
    assert SCHEMA.is_valid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NaN",
        "20260131",
        "2026-W05-1",
        "2026-02-30",
        "1969-12-31",
        "9999-01-01",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12",
        "2026-01-31T25:00:00Z",
        "2026-01-31T12:00:00",
        "0001-01-01T00:00:00+14:00",
        "\u0662026-01-31",
    ],
)
def test_anything_else_is_refused_by_its_name(text: str) -> None:
    """The refusal names the parameter; the schema refuses the same."""
    with pytest.raises(Problem, match="until") as refused:
        moment_of(text, name="until")
    assert (refused.value.status, refused.value.code) == (400, "period_invalid")
    assert not SCHEMA.is_valid(text)


def test_a_period_may_be_open() -> None:
    """Each end may be left out; with both, the first is earlier."""
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    assert period_of(None, None) == (None, None)
    assert period_of("2026-01-01", None) == (begin, None)
    assert period_of(None, "2026-01-02") == (None, end)
    assert period_of("2026-01-01", "2026-01-02") == (begin, end)


@pytest.mark.parametrize("until", ["2026-01-31", "2026-01-30T23:59:59Z", "2026-01-31T02:00:00+02:00"])
def test_a_period_begins_before_it_ends(until: str) -> None:
    """The refusal names both values."""
    with pytest.raises(Problem, match="from 2026-01-31 is not before to") as refused:
        period_of("2026-01-31", until)
    assert (refused.value.status, refused.value.code) == (400, "period_invalid")
    assert until in str(refused.value)
