"""What is compared with other services: booked rounds, entries, and payouts asked for, the last change first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.domain.entries import ChangedEntry, EntryState
from prizewire_rewards.domain.views import AskedPayout, BookedRound

Place = tuple[datetime, UUID]
"""Time and id of a row."""


async def changed_rounds(
    tx: AsyncConnection, *, since: datetime | None, before: Place | None, limit: int
) -> list[BookedRound]:
    """A page of the rounds that changed at ``since`` or later."""
    statement, values = _page(_ROUND, since, before, limit)
    return [BookedRound(**row) for row in (await tx.execute(statement, values)).mappings()]


async def changed_payouts(
    tx: AsyncConnection, *, since: datetime | None, before: Place | None, limit: int
) -> list[AskedPayout]:
    """A page of the payouts that changed at ``since`` or later."""
    statement, values = _page(_PAYOUT, since, before, limit)
    return [AskedPayout(**row) for row in (await tx.execute(statement, values)).mappings()]


async def changed_entries(
    tx: AsyncConnection, *, since: datetime | None, before: Place | None, limit: int
) -> list[ChangedEntry]:
    """A page of the entries that changed at ``since`` or later."""
    statement, values = _page(_ENTRY, since, before, limit)
    rows = (await tx.execute(statement, values)).mappings()
    return [ChangedEntry(**{**row, "state": EntryState(row["state"])}) for row in rows]


async def asked_payouts(tx: AsyncConnection, ids: Sequence[UUID]) -> list[AskedPayout]:
    """Those of these payouts that were asked for, by id."""
    rows = await tx.execute(_PAYOUTS_OF, {"ids": list(ids)})
    return [AskedPayout(**row) for row in rows.mappings()]


def _page(
    what: str, since: datetime | None, before: Place | None, limit: int
) -> tuple[TextClause, dict[str, Any]]:
    """Only the conditions that are asked for: a plan for all of them would walk the index from its end for each page."""
    wheres = ["true"]
    values: dict[str, Any] = {"limit": limit}
    if since is not None:
        wheres.append("changed_at >= CAST(:since AS timestamptz)")
        values["since"] = since
    if before is not None:
        wheres.append("(changed_at, id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))")
        values |= {"at": before[0], "id": before[1]}
    return text(f"{what} WHERE {' AND '.join(wheres)} ORDER BY changed_at DESC, id DESC LIMIT :limit"), values


_ROUND = (
    "SELECT id AS round_id, settlement_version, state, final, campaign, asset, gross, platform_fee, organizer_fee, "
    "organizer_player, unclaimed, digest, changed_at FROM rounds"
)
_PAYOUT = "SELECT id AS payout_id, player, asset, amount - fee AS amount, state, requested_at, changed_at FROM payouts"
_ENTRY = "SELECT id AS entry_id, round_id, player, asset, amount, state, changed_at FROM entries"
_PAYOUTS_OF = text(f"{_PAYOUT} WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id")
