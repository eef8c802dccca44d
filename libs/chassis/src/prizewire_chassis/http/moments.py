"""Moments in query parameters: a date, or a moment with its time zone."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, overload

from prizewire_chassis.problems import Problem

_EARLIEST: Final = 1970
_LATEST: Final = 9998
_YEAR: Final = "(19[7-9][0-9]|[2-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])"
"""From ``_EARLIEST`` to ``_LATEST``, so that no time zone leads out of the calendar."""
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(
    rf"{_DATE.pattern}[Tt][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]+)?(?P<zone>[Zz]|[+-][0-9]{{2}}:[0-9]{{2}})?"
)

MOMENT_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "string",
    "anyOf": [
        {"format": "date", "pattern": f"^{_YEAR}-"},
        {"format": "date-time", "pattern": f"^{_YEAR}-"},
    ],
    "examples": ["2026-01-31", "2026-01-31T12:00:00Z"],
}
"""What ``moment_of`` takes, as JSON Schema."""
END_SCHEMA: Final[Mapping[str, Any]] = {
    **MOMENT_SCHEMA,
    "examples": ["2026-02-28", "2026-02-28T12:00:00Z"],
}
"""The same for the end of a period, with examples that are later."""


def moment_of(text: str, *, name: str) -> datetime:
    """The moment in UTC that a parameter says: a moment with its time zone (RFC 3339), or the beginning of a date in UTC;
    from the year 1970 to 9998. ``name`` is the parameter's.

    Raises:
        Problem: 400 ``period_invalid``.
    """
    shape = _MOMENT.fullmatch(text)
    if shape is not None and shape["zone"] is None:
        detail = f"{name} names no time zone: end it with Z, or with an offset such as +02:00"
        raise Problem(status=400, code="period_invalid", detail=detail)
    found = None
    try:
        if shape is not None:
            found = datetime.fromisoformat(text.upper()).astimezone(UTC)
        elif _DATE.fullmatch(text) is not None:
            found = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        found = None
    if found is None or not _EARLIEST <= int(text[:4]) <= _LATEST:
        detail = (
            f"{name} is a date such as 2026-01-31 or a moment such as 2026-01-31T12:00:00Z, "
            f"from {_EARLIEST} to {_LATEST}"
        )
        raise Problem(status=400, code="period_invalid", detail=detail)
    return found


@overload
def period_of(since: str, until: str) -> tuple[datetime, datetime]: ...


@overload
def period_of(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]: ...


def period_of(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """The moments in UTC that the parameters ``from`` and ``to`` say; None where one is left out.

    Raises:
        Problem: 400 ``period_invalid``: one of them is no moment, or ``from`` is not before ``to``.
    """
    begin = None if since is None else moment_of(since, name="from")
    end = None if until is None else moment_of(until, name="to")
    if begin is not None and end is not None and not begin < end:
        detail = f"from {since} is not before to {until}: name an earlier from or a later to"
        raise Problem(status=400, code="period_invalid", detail=detail)
    return begin, end
