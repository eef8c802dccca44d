"""The batches that payouts were requested with, over PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import BatchPlace
from prizewire_payouts.payouts.storage.statements import dumps

# the first payout of a batch that arrives writes the row; batches are locked in the order of their ids
_INSERT = text(
    "INSERT INTO payout_batches (batch_id, lines, filed_by, requested_at) "
    "SELECT r.batch_id, r.lines, r.filed_by, r.requested_at FROM jsonb_to_recordset(CAST(:rows AS jsonb)) "
    "AS r(batch_id uuid, lines int, filed_by text, requested_at timestamptz) ORDER BY r.batch_id ON CONFLICT (batch_id) DO NOTHING"
)


async def save_batches(tx: AsyncConnection, changes: Sequence[Change]) -> None:
    """Store the batches of new payouts that are not stored yet, before the payouts."""
    new = {
        payout.batch.batch_id: {
            "batch_id": payout.batch.batch_id,
            "lines": payout.batch.lines,
            "filed_by": payout.filed_by,
            "requested_at": payout.requested_at,
        }
        for payout in (change.payout for change in changes if change.is_new)
        if payout.batch is not None
    }
    if new:
        await tx.execute(_INSERT, {"rows": dumps(list(new.values()))})


def batch_columns(batch: BatchPlace | None) -> dict[str, Any]:
    """The columns of a payout's row."""
    if batch is None:
        return {"batch_id": None, "batch_line": None, "batch_lines": None}
    return {"batch_id": batch.batch_id, "batch_line": batch.line, "batch_lines": batch.lines}


def batch_place(row: Row[Any]) -> BatchPlace | None:
    """The place of a stored payout in its batch."""
    if row.batch_id is None:
        return None
    return BatchPlace(batch_id=row.batch_id, line=row.batch_line, lines=row.batch_lines)
