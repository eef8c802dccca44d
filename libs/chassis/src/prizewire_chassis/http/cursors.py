"""Cursors of listings: the sort key of a page's last row, opaque to callers, checked column by column when it returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar, overload
from uuid import UUID

from prizewire_chassis.http.answers import PageOf
from prizewire_chassis.http.paging import cursor_invalid, decode_cursor, encode_cursor
from prizewire_contracts.text import is_printable

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
T = TypeVar("T")
Key = TypeVar("Key", bound=tuple[Any, ...])
Row = TypeVar("Row")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column of a sort key. ``write`` makes JSON of a value; ``read`` makes the value of that JSON.

    ``read`` raises ``ValueError``, ``TypeError`` or ``AttributeError`` for anything else.
    """

    write: Callable[[T], str | int]
    read: Callable[[Any], T]


class CursorKey(Generic[Key]):
    """The sort key of a listing, as tuples of one value for each column."""

    def __init__(self, *columns: Column[Any]) -> None:
        self._columns = columns

    def read(self, cursor: str | None) -> Key | None:
        """The key in a cursor; None for the first page.

        Raises:
            Problem: 400 ``cursor_invalid``.
        """
        values = decode_cursor(cursor, length=len(self._columns))
        if values is None:
            return None
        try:
            key = tuple(column.read(value) for column, value in zip(self._columns, values, strict=True))
        except (ValueError, TypeError, AttributeError):
            raise cursor_invalid() from None
        return key  # type: ignore[return-value] # cursor_key holds Key to the columns

    def write(self, key: Key) -> str:
        """The cursor behind the row that has this key."""
        return encode_cursor([column.write(value) for column, value in zip(self._columns, key, strict=True)])

    def page(
        self, rows: Sequence[Row], *, limit: int, key: Callable[[Row], Key], show: Callable[[Row], Item]
    ) -> PageOf[Item]:
        """``rows`` as a page. It has a cursor when it is full, which is when it has ``limit`` rows."""
        following = self.write(key(rows[-1])) if rows and len(rows) == limit else None
        return PageOf(items=[show(row) for row in rows], next_cursor=following)


@overload
def cursor_key(first: Column[A], /) -> CursorKey[tuple[A]]: ...


@overload
def cursor_key(first: Column[A], second: Column[B], /) -> CursorKey[tuple[A, B]]: ...


@overload
def cursor_key(first: Column[A], second: Column[B], third: Column[C], /) -> CursorKey[tuple[A, B, C]]: ...


def cursor_key(*columns: Column[Any]) -> CursorKey[Any]:
    """The sort key that has these columns."""
    return CursorKey(*columns)


def _moment(value: Any) -> datetime:
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError("a moment has a time zone")
    return found


def _uuid(value: Any) -> UUID:
    if not isinstance(value, str):
        raise TypeError("a UUID is text")
    return UUID(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not is_printable(value):
        raise ValueError("the text is not printable")
    return value


def number(minimum: int, maximum: int) -> Column[int]:
    """A whole number from ``minimum`` to ``maximum``."""

    def read(value: Any) -> int:
        if type(value) is not int or not minimum <= value <= maximum:
            raise ValueError("the number is out of range")
        return value

    return Column(int, read)


MOMENT: Final[Column[datetime]] = Column(datetime.isoformat, _moment)
"""A moment with its time zone."""
ID: Final[Column[UUID]] = Column(str, _uuid)
"""A UUID."""
TEXT: Final[Column[str]] = Column(str, _text)
"""Printable text."""
BY_TIME_AND_ID: Final = cursor_key(MOMENT, ID)
"""The sort key of most listings: a moment, and an id for rows of the same moment."""
