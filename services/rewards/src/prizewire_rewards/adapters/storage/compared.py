"""What is compared with other services: booked rounds and payouts that were asked for, the last change first."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.domain.views import AskedPayout, BookedRound

__all__ = ["asked_payouts", "changed_payouts", "changed_rounds"]

Place = tuple[datetime, UUID]
"""Time and id of a row."""


async def changed_rounds(
    tx: AsyncConnection, *, since: datetime | None, before: Place | None, limit: int
) -> list[BookedRound]:
    """A page of the rounds that changed at ``since`` or later."""
    rows = await tx.execute(_ROUNDS, _values(since, before, limit))
    return [BookedRound(**row) for row in rows.mappings()]


async def changed_payouts(
    tx: AsyncConnection, *, since: datetime | None, before: Place | None, limit: int
) -> list[AskedPayout]:
    """A page of the payouts that changed at ``since`` or later."""
    rows = await tx.execute(_PAYOUTS, _values(since, before, limit))
    return [AskedPayout(**row) for row in rows.mappings()]


async def asked_payouts(tx: AsyncConnection, ids: Sequence[UUID]) -> list[AskedPayout]:
    """Those of these payouts that were asked for, by id."""
    rows = await tx.execute(_PAYOUTS_OF, {"ids": list(ids)})
    return [AskedPayout(**row) for row in rows.mappings()]


def _values(since: datetime | None, before: Place | None, limit: int) -> dict[str, object]:
    at, identifier = before if before is not None else (None, None)
    return {"since": since, "at": at, "id": identifier, "limit": limit}


_PAGE = (
    "WHERE (CAST(:since AS timestamptz) IS NULL OR changed_at >= CAST(:since AS timestamptz)) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (changed_at, id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))) "
    "ORDER BY changed_at DESC, id DESC LIMIT :limit"
)
_PAYOUT = "SELECT id AS payout_id, player, asset, amount - fee AS amount, state, requested_at, changed_at FROM payouts"
_ROUNDS = text(
    "SELECT id AS round_id, settlement_version, state, final, campaign, asset, gross, platform_fee, organizer_fee, "  # noqa: S608 - our own literals
    f"organizer_player, unclaimed, digest, changed_at FROM rounds {_PAGE}"
)
_PAYOUTS = text(f"{_PAYOUT} {_PAGE}")
_PAYOUTS_OF = text(f"{_PAYOUT} WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id")
