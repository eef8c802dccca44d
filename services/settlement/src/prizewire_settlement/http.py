"""Business errors as problem details, and the codes with which settlement refuses."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Final, TypeVar
from uuid import UUID

from litestar.params import HeaderParameter, QueryParameter

from prizewire_chassis.auth import Role, require
from prizewire_chassis.http import Problem, decode_cursor
from prizewire_contracts.text import PRINTABLE, is_printable
from prizewire_settlement.errors import (
    CompetitionExists,
    CompetitionMissing,
    DecisionRefused,
    ReportRefused,
    RoundMissing,
    RuleInvalid,
)

RESULT_CODES: Final = ("duplicate_player", "invalid_amount", "score_missing", "tie_refused")
"""A result that the rule cannot rank or pay (422)."""
ADMISSION_CODES: Final = ("source_not_allowed", "signature_missing", "signature_invalid", "key_not_trusted")
"""A report that its sender may not make (403)."""
UNREADABLE_CODES: Final = (
    "not_cloudevent",
    "unknown_type",
    "unsupported_version",
    "float_refused",
    "schema_invalid",
)
"""A report that cannot be read (400)."""
_STATUS: Final = {
    "message_too_large": 413,
    **dict.fromkeys(ADMISSION_CODES, 403),
    "id_conflict": 409,
    "correlation_mismatch": 409,
    "event_mismatch": 409,
    "result_conflict": 409,
    "result_missing": 409,
    "illegal_transition": 409,
    "dispute_window_passed": 409,
    "subject_parked": 409,
    "competition_unknown": 422,
    "entry_not_offered": 422,
    **dict.fromkeys(RESULT_CODES, 422),
}


def status_of(code: str) -> int:
    """The status of a refused report. A code that is not listed is of a report that cannot be read."""
    return _STATUS.get(code, 400)


T = TypeVar("T")
Words = Annotated[str | None, QueryParameter(max_length=256, pattern=PRINTABLE)]
IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)]
RequiredKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=True)]
"""A request without it is refused with 400 ``idempotency_key_required``."""
writers = require(Role.ADMIN)
readers = require(Role.ORGANIZER, Role.OPERATOR, Role.APPROVER, Role.ADMIN)


async def answered(work: Awaitable[T]) -> T:
    """Business errors as problems."""
    try:
        return await work
    except RuleInvalid as error:
        raise unusable(error) from None
    except ReportRefused as error:
        raise refused(error.reason, error.detail) from None
    except RoundMissing as error:
        raise round_missing(str(error)) from None
    except DecisionRefused as error:
        raise Problem(status=409, code=error.code, detail=error.detail) from None
    except CompetitionExists as error:
        detail = f"there is a competition {error} already; PUT changes its rule"
        raise Problem(status=409, code="competition_exists", detail=detail) from None
    except CompetitionMissing as error:
        raise competition_missing(str(error)) from None


def refused(code: str, detail: str) -> Problem:
    """A report that was not applied."""
    return Problem(status=status_of(code), code=code, detail=detail)


def unusable(error: RuleInvalid) -> Problem:
    """A rule that cannot be followed."""
    return Problem(status=422, code=error.code, detail=error.detail, field=error.field)


def competition_missing(competition_id: str) -> Problem:
    """A competition, or a version of its rule, that is not there."""
    detail = f"there is no competition {competition_id}, or no such version of its rule"
    return Problem(status=404, code="competition_unknown", detail=detail)


def id_mismatch(given: str, *, wanted: str, field: str = "id") -> Problem:
    """A body about another competition than the path's."""
    detail = f"the body names the competition {given}, the path {wanted}: leave {field} out, or name the same"
    return Problem(status=422, code="id_mismatch", detail=detail, field=field)


def round_missing(round_id: object) -> Problem:
    """A round that is not there."""
    return Problem(status=404, code="round_unknown", detail=f"there is no round {round_id}")


def bad_cursor() -> Problem:
    """A cursor that the route did not give."""
    return Problem(status=400, code="cursor_invalid", detail="the cursor is not one that this route gave")


def place_of(cursor: str | None) -> tuple[datetime, UUID] | None:
    """The (time, id) sort key inside a cursor.

    Raises:
        Problem: 400 ``cursor_invalid``.
    """
    found = named_place_of(cursor)
    if found is None:
        return None
    try:
        return found[0], UUID(found[1])
    except ValueError:
        raise bad_cursor() from None


def named_place_of(cursor: str | None) -> tuple[datetime, str] | None:
    """The (time, name) sort key inside a cursor.

    Raises:
        Problem: 400 ``cursor_invalid``.
    """
    values = decode_cursor(cursor, length=2)
    if values is None:
        return None
    try:
        at, name = datetime.fromisoformat(values[0]), values[1]
    except (TypeError, ValueError):
        raise bad_cursor() from None
    if at.tzinfo is None or not isinstance(name, str) or not is_printable(name):
        raise bad_cursor()
    return at, name
