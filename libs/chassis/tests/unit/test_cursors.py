"""A cursor gives back the sort key that it was made of, and is refused when it was not made for this listing."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from prizewire_chassis.http import BY_TIME_AND_ID, Problem, cursor_key
from prizewire_chassis.http.cursors import MOMENT, TEXT, number
from prizewire_chassis.http.paging import encode_cursor

AT = datetime(2026, 5, 1, 12, 30, 0, 250_000, tzinfo=UTC)
ROW_ID = UUID("22222222-2222-4222-8222-222222222222")
BY_TIME_AND_NAME = cursor_key(MOMENT, TEXT)
BY_TIME_ID_AND_LINE = cursor_key(MOMENT, number(-5, 5), number(0, 9))


def test_a_key_is_read_back_unchanged() -> None:
    """Moments, ids, texts and numbers keep their values and types."""
    assert BY_TIME_AND_ID.read(BY_TIME_AND_ID.write((AT, ROW_ID))) == (AT, ROW_ID)
    assert BY_TIME_AND_NAME.read(BY_TIME_AND_NAME.write((AT, "spring cup"))) == (AT, "spring cup")
    assert BY_TIME_ID_AND_LINE.read(BY_TIME_ID_AND_LINE.write((AT, -5, 9))) == (AT, -5, 9)


def test_cursors_keep_their_form() -> None:
    """A cursor is the base64 of the key as JSON, so that cursors given out by an earlier release still count."""
    assert BY_TIME_AND_ID.write((AT, ROW_ID)) == encode_cursor([AT.isoformat(), str(ROW_ID)])
    assert cursor_key(number(0, 9)).write((7,)) == encode_cursor([7])


def test_no_cursor_is_the_first_page() -> None:
    """Without a cursor there is no key."""
    assert BY_TIME_AND_ID.read(None) is None


@pytest.mark.parametrize(
    "values",
    [
        [],
        [AT.isoformat()],
        [AT.isoformat(), str(ROW_ID), 1],
        ["yesterday", str(ROW_ID)],
        ["2026-05-01T12:30:00", str(ROW_ID)],
        [17, str(ROW_ID)],
        [AT.isoformat(), "not-an-id"],
        [AT.isoformat(), 17],
        [AT.isoformat(), None],
    ],
    ids=repr,
)
def test_another_key_is_refused(values) -> None:
    """Too few or too many values, a moment without a time zone, and values of another kind are a 400."""
    with pytest.raises(Problem) as refused:
        BY_TIME_AND_ID.read(encode_cursor(values))
    assert (refused.value.status, refused.value.code) == (400, "cursor_invalid")


@pytest.mark.parametrize("value", ["a\x00b", "a\nb", 17, None, ["a"]], ids=repr)
def test_text_that_cannot_be_stored_is_refused(value) -> None:
    """Text in a cursor is printable, as the names that listings are sorted by."""
    with pytest.raises(Problem, match="cursor_invalid"):
        BY_TIME_AND_NAME.read(encode_cursor([AT.isoformat(), value]))


@pytest.mark.parametrize("value", [-1, 10, 2**62, 1.0, True, "1", None], ids=repr)
def test_a_number_out_of_range_is_refused(value) -> None:
    """A number is whole and within the bounds of its column; True is no number."""
    with pytest.raises(Problem, match="cursor_invalid"):
        cursor_key(number(0, 9)).read(encode_cursor([value]))


@pytest.mark.parametrize("cursor", ["", "!!!", "e30", "é", "bnVsbA"])
def test_an_invalid_cursor_is_refused(cursor) -> None:
    """Text that is not the base64 of a JSON array is a 400."""
    with pytest.raises(Problem, match="cursor_invalid"):
        BY_TIME_AND_ID.read(cursor)


def test_a_full_page_has_a_cursor() -> None:
    """The cursor is the key of the last row; a page that is not full is the last one."""
    rows = [(AT, ROW_ID), (AT, UUID(int=1))]

    def page(limit: int):
        return BY_TIME_AND_ID.page(rows, limit=limit, key=lambda row: row, show=lambda row: str(row[1]))

    assert page(2).items == [str(ROW_ID), str(UUID(int=1))]
    assert BY_TIME_AND_ID.read(page(2).next_cursor) == (AT, UUID(int=1))
    assert page(3).next_cursor is None
    assert BY_TIME_AND_ID.page([], limit=2, key=lambda row: row, show=str).next_cursor is None
