"""The queries behind lists of payouts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, tuple_

from prizewire_payouts.payouts.ports import PayoutFilter
from prizewire_payouts.payouts.storage.tables import payouts


def listing(wanted: PayoutFilter) -> Select[Any]:
    """A page of payouts, newest request first; of one moment the greater id first."""
    columns = payouts.c
    query = select(payouts).order_by(columns.requested_at.desc(), columns.payout_id.desc())
    if wanted.states:
        query = query.where(columns.state.in_(wanted.states))
    if wanted.ids:
        query = query.where(columns.payout_id.in_(wanted.ids))
    for column, value in (
        (columns.player, wanted.player),
        (columns.correlation_id, wanted.correlation_id),
        (columns.rail, wanted.rail),
        (columns.asset, wanted.asset),
        (columns.method_id, wanted.method_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(columns.requested_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(columns.requested_at < wanted.until)
    if wanted.before is not None:
        query = query.where(tuple_(columns.requested_at, columns.payout_id) < tuple_(*wanted.before))
    return query.limit(wanted.limit).offset(wanted.offset)


def stored_listing(
    *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
) -> Select[Any]:
    """A page of payouts that were stored at ``since`` or later, the last change first; those before a (time, id)."""
    columns = payouts.c
    query = select(payouts).order_by(columns.stored_at.desc(), columns.payout_id.desc())
    if since is not None:
        query = query.where(columns.stored_at >= since)
    if before is not None:
        query = query.where(tuple_(columns.stored_at, columns.payout_id) < tuple_(*before))
    return query.limit(limit)
