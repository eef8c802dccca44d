"""Page sizes, and the encoding of cursors, which are opaque to callers."""

import base64
import binascii
from typing import Any

import orjson

from prizewire_chassis.problems import Problem

LIMIT_MAX = 200
LIMIT_DEFAULT = 50


def page_limit(limit: int | None) -> int:
    """A usable page size.

    Raises:
        Problem: 400 ``limit_invalid``.
    """
    if limit is None:
        return LIMIT_DEFAULT
    if not 1 <= limit <= LIMIT_MAX:
        raise Problem(status=400, code="limit_invalid", detail=f"limit is between 1 and {LIMIT_MAX}")
    return limit


def encode_cursor(values: list[Any]) -> str:
    """The cursor of a sort key."""
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def decode_cursor(cursor: str | None, *, length: int) -> list[Any] | None:
    """The sort key inside a cursor, or None for the first page.

    Raises:
        Problem: 400 ``cursor_invalid``.
    """
    if cursor is None:
        return None
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        values = None
    if not isinstance(values, list) or len(values) != length:
        raise cursor_invalid()
    return values


def cursor_invalid() -> Problem:
    """The problem of a cursor that does not come from the route."""
    return Problem(status=400, code="cursor_invalid", detail="the cursor is not one that this route gave")
