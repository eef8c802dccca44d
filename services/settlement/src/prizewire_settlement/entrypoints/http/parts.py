"""What the controllers stand on and share: who may call, cursors, business errors as problems."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

from litestar.params import HeaderParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import Role, require
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http import Problem, decode_cursor
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec
from prizewire_contracts.text import PRINTABLE, is_printable
from prizewire_money import AssetRegistry
from prizewire_settlement.domain.errors import DecisionRefused, ReportRefused, RoundMissing, RuleInvalid
from prizewire_settlement.entrypoints.http.codes import status_of
from prizewire_settlement.handlers.competitions import CompetitionExists, CompetitionMissing
from prizewire_settlement.ports import (
    Campaigns,
    CompetitionStore,
    EventSink,
    Queries,
    RoundStore,
    SourceTokens,
)

T = TypeVar("T")
Words = Annotated[str | None, QueryParameter(max_length=256, pattern=PRINTABLE)]
IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)]
RequiredKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=True)]
"""A request without it is refused with 400 ``idempotency_key_required``."""
writers = require(Role.ADMIN)
readers = require(Role.ORGANIZER, Role.OPERATOR, Role.APPROVER, Role.ADMIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpParts:
    """What the routes stand on. ``spec`` is the consumer of match events, whose path reports over HTTP take too."""

    db: Database
    clock: Clock
    audit: Audit
    assets: AssetRegistry
    processor: BatchProcessor
    spec: ConsumerSpec
    store: Callable[[AsyncConnection], CompetitionStore]
    campaigns: Callable[[AsyncConnection], Campaigns]
    rounds: Callable[[AsyncConnection], RoundStore]
    events: Callable[[AsyncConnection], EventSink]
    tokens: Callable[[AsyncConnection], SourceTokens]
    queries: Callable[[AsyncConnection], Queries]
    platform_fee_bps: int
    organizer_fee_bps: int
    lines_per_part: int
    token_days_max: int


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
