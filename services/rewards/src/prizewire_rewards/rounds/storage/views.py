"""Listings of rounds over PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.ledger.storage.changes import Place, page_of_changes
from prizewire_rewards.rounds.domain.views import BookedRound, RoundSums

_ROUND_SUMS = text(
    "SELECT d.id AS round_id, d.settlement_version, d.state, d.final, d.campaign, d.asset, d.gross, d.settled_at, "
    "s.prizes, s.prizes_total FROM rounds d CROSS JOIN LATERAL (SELECT count(*) AS prizes, "
    "CAST(coalesce(sum(x.amount), 0) AS bigint) AS prizes_total FROM rewards x "
    "WHERE x.round_id = d.id AND x.state <> 'reversed') s WHERE d.id = ANY (CAST(:ids AS uuid[])) ORDER BY d.id"
)


async def round_sums(tx: AsyncConnection, ids: Sequence[UUID]) -> list[RoundSums]:
    """Read the booked sums of these rounds."""
    rows = await tx.execute(_ROUND_SUMS, {"ids": list(ids)})
    return [RoundSums(**row) for row in rows.mappings()]


async def changed_rounds(
    tx: AsyncConnection, *, since: datetime | None, before: Place | None, limit: int
) -> list[BookedRound]:
    """List a page of the rounds that changed at ``since`` or later, the last change first."""
    statement, values = page_of_changes(_ROUND, since=since, before=before, limit=limit)
    return [BookedRound(**row) for row in (await tx.execute(statement, values)).mappings()]


_ROUND = (
    "SELECT id AS round_id, settlement_version, state, final, campaign, asset, gross, platform_fee, organizer_fee, "
    "organizer_player, unclaimed, digest, changed_at FROM rounds"
)
