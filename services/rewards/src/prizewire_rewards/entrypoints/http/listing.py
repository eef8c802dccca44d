"""Listing transfers: one set of filters for players and admins."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar.di import NamedDependency
from litestar.params import QueryParameter

from prizewire_chassis.http import Page, Problem, decode_cursor, encode_cursor, page_limit
from prizewire_rewards.domain.ledger import TransferType
from prizewire_rewards.domain.statuses import Status, types_with
from prizewire_rewards.domain.views import (
    CATEGORY_OF,
    SCAN_MAX,
    Category,
    Entry,
    EntryFilter,
    PayoutFee,
    Position,
    types_of,
)
from prizewire_rewards.entrypoints.http.front import Front, offset_of

__all__ = [
    "HistoryFilters",
    "HistoryQuery",
    "arrives_of",
    "direction_of",
    "entry_of",
    "fees_of",
    "filter_of",
    "list_entries",
    "moment_of",
]

_WALLET = "wallet:"
PAGES_SCAN_MAX = 50_000
"""Entries among which an earlier system's page by number is looked for, where it has a filter."""
_TYPES = f"A type of transfer, or one of {', '.join(Category)}."
_STATUSES = f"One of {', '.join(Status)}."
_FROM = "No earlier than this moment, with its time zone; of a date its beginning in UTC."
_TO = "Earlier than this moment, with its time zone; of a date its beginning in UTC."
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EARLIEST, _LATEST = 1970, 9998


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilters:
    """Filters of a history. ``type`` is a transfer's type or a category; of a player's, ``credit`` and ``debit`` are
    sides.
    """

    type: str | None
    status: str | None
    asset: str | None
    since: str | None
    until: str | None
    correlation_id: str | None
    cursor: str | None
    limit: int | None
    page: int | None


def provide_history(
    *,
    type_: Annotated[str | None, QueryParameter(name="type", description=_TYPES)] = None,
    status: Annotated[str | None, QueryParameter(name="status", description=_STATUSES)] = None,
    asset: Annotated[str | None, QueryParameter(name="asset", description="An asset's code.")] = None,
    since: Annotated[str | None, QueryParameter(name="from", description=_FROM)] = None,
    until: Annotated[str | None, QueryParameter(name="to", description=_TO)] = None,
    correlation_id: Annotated[
        str | None, QueryParameter(name="correlation_id", description="Of one match or payout.")
    ] = None,
    cursor: Annotated[
        str | None, QueryParameter(name="cursor", description="What a page gave as next_cursor.")
    ] = None,
    limit: Annotated[int | None, QueryParameter(name="limit", description="1 to 200; else 50.")] = None,
    page: Annotated[
        int | None, QueryParameter(name="page", description="As earlier systems count, from 1; not deep.")
    ] = None,
) -> HistoryFilters:
    """The filters of a request."""
    return HistoryFilters(
        type=type_,
        status=status,
        asset=asset,
        since=since,
        until=until,
        correlation_id=correlation_id,
        cursor=cursor,
        limit=limit,
        page=page,
    )


def filter_of(front: Front, query: HistoryFilters, *, player: str | None, limit: int) -> EntryFilter:
    """What a request asks for, of one player's wallets or of everything.

    Raises:
        Problem: 400 ``asset_unknown``, ``type_unknown``, ``status_unknown``, ``period_invalid``, ``page_invalid`` or ``cursor_invalid``.
    """
    if query.asset is not None:
        front.asset(query.asset, status=400)
    types = side = status = None
    if query.type in ("credit", "debit") and player is not None:
        side = query.type
    elif query.type is not None:
        types = types_of(query.type)
        if types is None:
            raise Problem(
                status=400, code="type_unknown", detail=f"there are no entries of type {query.type}"
            )
    if query.status is not None:
        if query.status not in set(Status):
            detail = f"there are no entries of status {query.status}: use {', '.join(Status)}"
            raise Problem(status=400, code="status_unknown", detail=detail)
        status = Status(query.status)
        alike = types_with(status)
        types = alike if types is None else types & alike
    offset = offset_of(page=query.page, limit=limit)
    return EntryFilter(
        limit=limit,
        before=_position(query.cursor),
        offset=offset,
        scan=PAGES_SCAN_MAX if offset else SCAN_MAX,
        player=player,
        types=types,
        status=status,
        asset=query.asset,
        side=side,
        since=None if query.since is None else moment_of(query.since, name="from"),
        until=None if query.until is None else moment_of(query.until, name="to"),
        correlation_id=query.correlation_id,
    )


async def list_entries(front: Front, query: HistoryFilters, *, player: str | None) -> Page:
    """One page of transfers, newest first; of one player's wallets, or of everything. A page with filters may be short,
    even empty, before the last: it looks through a bounded part of the history, and its cursor goes on there.

    Raises:
        Problem: 400 ``limit_invalid``, or as ``filter_of``.
    """
    wanted = filter_of(front, query, player=player, limit=page_limit(query.limit))
    found = await front.read(lambda queries: queries.entries(wanted))
    resume = found.resume
    return {
        "items": [entry_of(front, entry, player=player) for entry in found.entries],
        "next_cursor": None if resume is None else encode_cursor([resume.at.isoformat(), resume.seq]),
    }


def _position(cursor: str | None) -> Position | None:
    values = decode_cursor(cursor, length=2)
    if values is None:
        return None
    try:
        at = datetime.fromisoformat(values[0])
    except (TypeError, ValueError):
        at = None
    if at is None or at.tzinfo is None or type(values[1]) is not int or not 0 <= values[1] < 2**63:
        detail = "the cursor is not one that this route gave"
        raise Problem(status=400, code="cursor_invalid", detail=detail)
    return Position(at, values[1])


def moment_of(text: str, *, name: str) -> datetime:
    """A moment with its time zone, or the beginning of a date in UTC; from 1970 to 9998, so that no time zone leads out of
    the calendar.

    Raises:
        Problem: 400 ``period_invalid``.
    """
    try:
        found = datetime.fromisoformat(text)
        if _DATE.fullmatch(text):
            found = found.replace(tzinfo=UTC)
        elif found.tzinfo is None:
            detail = f"{name} names no time zone: end it with Z, or with an offset such as +02:00"
            raise Problem(status=400, code="period_invalid", detail=detail)
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        found = None
    if found is None or not _EARLIEST <= found.year <= _LATEST:
        detail = f"{name} is a date such as 2026-01-31 or a moment such as 2026-01-31T12:00:00Z, from {_EARLIEST} to {_LATEST}"
        raise Problem(status=400, code="period_invalid", detail=detail)
    return found


def entry_of(front: Front, entry: Entry, *, player: str | None) -> dict[str, Any]:
    """A transfer as JSON; for a player with direction and bucket, for an admin with both accounts."""
    shown: dict[str, Any] = {
        "id": str(entry.id),
        "type": entry.type,
        "category": CATEGORY_OF[TransferType(entry.type)],
        "status": entry.status,
        "asset": entry.asset,
        "amount": front.wire(entry.asset, entry.amount),
        "at": entry.at.isoformat(),
        "correlation_id": entry.correlation_id,
        "group_id": str(entry.group),
        "fees": None if entry.payout is None else [fee._asdict() for fee in fees_of(front, entry)],
        "arrives": arrives_of(front, entry),
    }
    if player is None:
        accounts = {
            "debit": {"kind": entry.debit_kind, "owner": entry.debit_owner},
            "credit": {"kind": entry.credit_kind, "owner": entry.credit_owner},
            "cause": entry.cause,
        }
        return {**shown, **accounts}
    direction, bucket = direction_of(entry, player=player)
    return {**shown, "direction": direction, "bucket": bucket}


def fees_of(front: Front, entry: Entry) -> list[PayoutFee]:
    """What a payout costs, and who bears it; nothing for entries that ask for none."""
    if entry.payout is None:
        return []
    fees = []
    if entry.payout.fee:
        fees.append(PayoutFee(entry.asset, front.wire(entry.asset, entry.payout.fee), "player"))
    if entry.payout.rail is not None:
        fees.append(entry.payout.rail)
    return fees


def arrives_of(front: Front, entry: Entry) -> str | None:
    """What of a payout arrives, as decimal text: the amount less the fees that its player or recipient bears. None for
    entries that ask for no payout, and for those that ended without effect.
    """
    if entry.payout is None or entry.payout.ended:
        return None
    left = entry.amount - entry.payout.fee
    rail = entry.payout.rail
    if rail is not None and rail.borne_by == "recipient" and rail.asset == entry.asset:
        left -= front.minor(front.asset(rail.asset), rail.amount)
    return front.wire(entry.asset, left)


def direction_of(entry: Entry, *, player: str) -> tuple[str, str]:
    """Whether an entry is a credit or a debit to the player, and of which bucket; from one bucket to another it is the
    credit that is shown.
    """
    credited = entry.credit_owner == player and entry.credit_kind.startswith(_WALLET)
    bucket = entry.credit_kind if credited else entry.debit_kind
    return "credit" if credited else "debit", bucket.removeprefix(_WALLET)


HistoryQuery = NamedDependency[HistoryFilters]
"""What a route with a history asks for, provided by ``provide_history``."""
