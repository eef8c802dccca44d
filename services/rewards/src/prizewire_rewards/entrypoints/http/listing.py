"""Listing transfers: one set of filters for players and admins."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from litestar.di import NamedDependency
from litestar.params import QueryParameter

from prizewire_chassis.http import Page, Problem, decode_cursor, page_limit
from prizewire_rewards.domain.ledger import TransferType
from prizewire_rewards.domain.views import CATEGORY_OF, Entry, EntryFilter, types_of
from prizewire_rewards.entrypoints.http.front import Front, offset_of, pages_of

__all__ = ["HistoryQuery", "entry_of", "list_entries"]

_PENDING_BUCKET = "wallet:pending"
_WALLET = "wallet:"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilters:
    """Filters of a history. ``type`` is a transfer's type or a category; ``credit`` and ``debit`` are sides."""

    type: str | None
    asset: str | None
    since: datetime | None
    until: datetime | None
    correlation_id: str | None
    cursor: str | None
    limit: int | None
    page: int | None


def provide_history(
    *,
    type_: Annotated[str | None, QueryParameter(name="type")] = None,
    asset: Annotated[str | None, QueryParameter(name="asset")] = None,
    since: Annotated[datetime | None, QueryParameter(name="from")] = None,
    until: Annotated[datetime | None, QueryParameter(name="to")] = None,
    correlation_id: Annotated[str | None, QueryParameter(name="correlation_id")] = None,
    cursor: Annotated[str | None, QueryParameter(name="cursor")] = None,
    limit: Annotated[int | None, QueryParameter(name="limit")] = None,
    page: Annotated[int | None, QueryParameter(name="page")] = None,
) -> HistoryFilters:
    """The filters of a request."""
    return HistoryFilters(
        type=type_,
        asset=asset,
        since=since,
        until=until,
        correlation_id=correlation_id,
        cursor=cursor,
        limit=limit,
        page=page,
    )


async def list_entries(front: Front, query: HistoryFilters, *, player: str | None) -> Page:
    """One page of transfers, newest first; of one player's wallets, or of everything.

    Raises:
        Problem: 400 ``type_unknown``, ``limit_invalid``, ``page_invalid`` or ``cursor_invalid``.
    """
    limit = page_limit(query.limit)
    after = decode_cursor(query.cursor, length=1)
    types = side = None
    if query.type in ("credit", "debit") and player is not None:
        side = query.type
    elif query.type is not None:
        types = types_of(query.type)
        if types is None:
            raise Problem(
                status=400, code="type_unknown", detail=f"there are no entries of type {query.type}"
            )
    wanted = EntryFilter(
        limit=limit,
        before=_sequence(after),
        offset=offset_of(page=query.page, limit=limit),
        player=player,
        types=types,
        asset=query.asset,
        side=side,
        since=query.since,
        until=query.until,
        correlation_id=query.correlation_id,
    )
    found = await front.read(lambda queries: queries.entries(wanted))
    last = [found[-1].seq] if found else None
    return pages_of([entry_of(front, entry, player=player) for entry in found], limit=limit, cursor=last)


def _sequence(cursor: list[Any] | None) -> int | None:
    if cursor is None:
        return None
    if not isinstance(cursor[0], int):
        detail = "the cursor is not one that this route gave"
        raise Problem(status=400, code="cursor_invalid", detail=detail)
    return cursor[0]


def entry_of(front: Front, entry: Entry, *, player: str | None) -> dict[str, Any]:
    """A transfer as JSON; for a player with direction and bucket, for an admin with both accounts."""
    shown: dict[str, Any] = {
        "id": str(entry.id),
        "type": entry.type,
        "category": CATEGORY_OF[TransferType(entry.type)],
        "asset": entry.asset,
        "amount": front.wire(entry.asset, entry.amount),
        "at": entry.at.isoformat(),
        "correlation_id": entry.correlation_id,
        "group_id": str(entry.group),
    }
    if player is None:
        accounts = {
            "debit": {"kind": entry.debit_kind, "owner": entry.debit_owner},
            "credit": {"kind": entry.credit_kind, "owner": entry.credit_owner},
            "cause": entry.cause,
        }
        return {**shown, **accounts}
    credited = entry.credit_owner == player and entry.credit_kind.startswith(_WALLET)
    bucket = entry.credit_kind if credited else entry.debit_kind
    return {
        **shown,
        "direction": "credit" if credited else "debit",
        "bucket": bucket.removeprefix(_WALLET),
        "status": "pending" if bucket == _PENDING_BUCKET else "completed",
    }


HistoryQuery = NamedDependency[HistoryFilters]
"""What a route with a history asks for, provided by ``provide_history``."""
