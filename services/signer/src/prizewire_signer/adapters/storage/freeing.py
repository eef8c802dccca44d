"""When a payout that was bound to a closed slot becomes free: in the transaction that next asks for it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def free_due(tx: AsyncConnection, payout_ids: Sequence[UUID], *, now: datetime) -> list[UUID]:
    """Free those of these payouts whose slot is closed and whose ``free_at`` has come; they are returned."""
    freed = await tx.execute(_FREE_DUE, {"ids": list(payout_ids), "now": now})
    return [row.payout_id for row in freed]


_FREE_DUE = text(
    "WITH due AS (SELECT payout_id FROM payouts WHERE payout_id = ANY(CAST(:ids AS uuid[])) AND state = 'bound' "
    "AND free_at <= :now ORDER BY payout_id FOR UPDATE) "
    "UPDATE payouts p SET state = 'free', slot_id = NULL, free_at = NULL FROM due "
    "WHERE p.payout_id = due.payout_id RETURNING p.payout_id"
)
