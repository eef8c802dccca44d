"""Batches of operators' payouts over PostgreSQL."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.ledger.storage.accounts import Place
from prizewire_rewards.payouts.domain.batches import BatchView, PayoutBatch
from prizewire_rewards.payouts.domain.model import PayoutState


class SqlBatches:
    """Batches in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def add(self, batch: PayoutBatch, *, now: datetime) -> None:
        """See the port."""
        await self._tx.execute(
            _ADD,
            {
                "id": batch.id,
                "account": batch.funding_account,
                "reason": batch.reason,
                "filed_by": batch.filed_by,
                "now": now,
                "lines": batch.lines,
                "total": batch.total,
            },
        )


async def list_batches(
    tx: AsyncConnection, *, limit: int, before: Place | None, batch_id: UUID | None = None
) -> list[BatchView]:
    """List batches, newest first; with an id, only that one."""
    at, last = before if before is not None else (None, None)
    values = {"limit": limit, "at": at, "last": last, "id": batch_id}
    return [_view_of(row) for row in await tx.execute(_LIST, values)]


def _view_of(row: Any) -> BatchView:
    states = orjson.loads(row.states_json)
    return BatchView(
        batch=PayoutBatch(
            id=row.id,
            funding_account=row.funding_account,
            reason=row.reason,
            filed_by=row.filed_by,
            lines=row.lines,
            total=row.total,
        ),
        asset=row.asset,
        filed_at=row.filed_at,
        states={PayoutState(state): count for state, count in states.items()},
    )


_ADD = text(
    "INSERT INTO payout_batches (id, funding_account, reason, filed_by, filed_at, lines, total) "
    "VALUES (:id, :account, :reason, :filed_by, :now, :lines, :total)"
)


_LIST = text(
    "SELECT b.*, f.asset, CAST((SELECT coalesce(jsonb_object_agg(s.state, s.count), '{}') FROM ("
    "SELECT p.state, count(*) AS count FROM payouts p WHERE p.batch_id = b.id GROUP BY p.state) s) AS text) AS states_json "
    "FROM payout_batches b JOIN funding_accounts f ON f.name = b.funding_account "
    "WHERE (CAST(:id AS uuid) IS NULL OR b.id = :id) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (b.filed_at, b.id) < (CAST(:at AS timestamptz), CAST(:last AS uuid))) "
    "ORDER BY b.filed_at DESC, b.id DESC LIMIT :limit"
)
