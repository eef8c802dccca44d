"""What follows on the slot of an attempt that is over without having consumed it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import after_commit
from prizewire_payouts.metrics import STELLAR_VOIDS
from prizewire_payouts.stellar.domain.model import Kind
from prizewire_payouts.stellar.domain.slots import Onward, SlotUse, onward, void_pause
from prizewire_payouts.stellar.storage.context import Context, Step
from prizewire_payouts.stellar.storage.rows import insert_attempt

# Attempts that were refused have no digest; what is leased has none yet.
_USE = text(
    "SELECT (SELECT count(*) FROM stellar_payments WHERE attempt_id = :attempt AND state = 'batched') AS held, "
    "count(*) FILTER (WHERE kind = 'payment' AND state NOT IN ('leased', 'released', 'refused')) AS digests, "
    "count(*) FILTER (WHERE kind = 'void_slot') AS voids FROM stellar_attempts WHERE slot_id = :slot"
)
_HAND_OVER = text(
    "WITH moved AS (UPDATE stellar_payments SET attempt_id = :new, changed_at = :now "
    "WHERE attempt_id = :old AND state = 'batched' RETURNING provider_key) "
    "INSERT INTO stellar_items (attempt_id, provider_key) SELECT :new, provider_key FROM moved"
)


async def slot_use(
    tx: AsyncConnection, row: Row[Any], *, full: bool = False, unsigned: bool = False
) -> SlotUse:
    """How the slot of an attempt stands; ``full`` and ``unsigned`` are the signer's word."""
    found = (await tx.execute(_USE, {"attempt": row.attempt_id, "slot": row.slot_id})).one()
    return SlotUse(held=found.held, digests=found.digests, voids=found.voids, full=full, unsigned=unsigned)


async def follow(
    tx: AsyncConnection,
    context: Context,
    row: Row[Any],
    *,
    cause: str,
    due_at: datetime,
    now: datetime,
    full: bool = False,
    unsigned: bool = False,
) -> None:
    """Lease the slot of an attempt that is over for its next revision, or for being voided, from ``due_at`` on.

    The payments that the attempt still holds go along. Where neither is needed the slot lies idle; the next payments
    on its channel take it.
    """
    use = await slot_use(tx, row, full=full, unsigned=unsigned)
    way = onward(use=use, digests_max=context.digests_max)
    if way is Onward.IDLE:
        context.bells.after(tx, Step.LEASE)
        return
    voiding = way is Onward.VOID
    new = await insert_attempt(
        tx,
        account=row.account,
        kind=Kind.VOID_SLOT if voiding else Kind.PAYMENT,
        memo=row.memo,  # a void carries none, but the payments that go along may be built again
        slot_id=row.slot_id,
        revision=row.revision + 1,
        due_at=max(due_at, now + void_pause(voids=use.voids)) if voiding else due_at,
        cause=cause,
        now=now,
    )
    await tx.execute(_HAND_OVER, {"old": row.attempt_id, "new": new, "now": now})
    if voiding:
        after_commit(tx, STELLAR_VOIDS.inc)
    context.bells.after(tx, Step.BUILD)
