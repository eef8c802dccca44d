"""Slots: opened, continued after an attempt that did not consume them, closed."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import after_commit
from prizewire_contracts import ids
from prizewire_payouts.metrics import STELLAR_VOIDS
from prizewire_payouts.stellar.domain.model import Kind
from prizewire_payouts.stellar.domain.states import (
    NextAction,
    SlotUse,
    TransactionState,
    next_action,
    void_pause,
)
from prizewire_payouts.stellar.messages import SlotRow
from prizewire_payouts.stellar.storage.execution import Execution, ExecutionStep
from prizewire_payouts.stellar.storage.rows import insert_attempt, move

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
_OPEN = text(
    "INSERT INTO stellar_slots (slot_id, account, sequence, state, version, opened_at) "
    "VALUES (:slot, :account, :sequence, 'open', 0, :now)"
)
_DRAW_VERSION = text(
    "UPDATE stellar_slots SET version = version + 1 WHERE slot_id = :slot "
    "RETURNING slot_id, account, sequence, version"
)
_CLOSE = text(
    "UPDATE stellar_slots SET state = 'closed', closed_at = :now, consumed_by_hash = :hash, result = :result, "
    "ledger = :ledger WHERE slot_id = :slot"
)
_ADVANCE_CHANNEL = text(
    "UPDATE stellar_channels SET sequence = :sequence WHERE account = :account AND sequence < :sequence"
)
_DEAD = text(
    "SELECT * FROM stellar_attempts WHERE slot_id = :slot AND state = 'dead' ORDER BY attempt_id FOR UPDATE"
)
_LEFT_WITHOUT_EFFECT = text(
    "SELECT DISTINCT p.payout_id FROM stellar_attempts a JOIN stellar_items i USING (attempt_id) "
    "JOIN stellar_payments p USING (provider_key) WHERE a.slot_id = :slot AND p.state = 'no_effect' "
    "AND NOT EXISTS (SELECT 1 FROM stellar_payments x WHERE x.payout_id = p.payout_id AND x.state = 'paid') "
    "ORDER BY p.payout_id"
)


async def draw_version(tx: AsyncConnection, slot_id: UUID) -> SlotRow:
    """The slot, locked, with the version of its next event."""
    row = (await tx.execute(_DRAW_VERSION, {"slot": slot_id})).one()
    return SlotRow(slot_id=row.slot_id, account=row.account, sequence=row.sequence, version=row.version)


async def open_slot(
    tx: AsyncConnection, execution: Execution, row: Row[Any], *, sequence: int, now: datetime
) -> SlotRow:
    """The attempt's slot with the version of its next event; it is opened where the attempt has none."""
    slot_id = row.slot_id
    if slot_id is None:
        if sequence <= row.channel_sequence:
            raise AssertionError(f"the sequence {sequence} of {row.account} was used by a closed slot")
        slot_id = ids.slot_id(
            chain="stellar", network=execution.network, account=row.account, sequence=sequence
        )
        await tx.execute(_OPEN, {"slot": slot_id, "account": row.account, "sequence": sequence, "now": now})
    elif sequence != row.slot_sequence:
        raise AssertionError(f"a revision of slot {slot_id} was built on the sequence {sequence}")
    return await draw_version(tx, slot_id)


async def slot_use(
    tx: AsyncConnection, row: Row[Any], *, full: bool = False, unsigned: bool = False
) -> SlotUse:
    """How the slot of an attempt is used; ``full`` and ``unsigned`` are what the signer answered."""
    found = (await tx.execute(_USE, {"attempt": row.attempt_id, "slot": row.slot_id})).one()
    return SlotUse(held=found.held, digests=found.digests, voids=found.voids, full=full, unsigned=unsigned)


async def continue_slot(
    tx: AsyncConnection,
    execution: Execution,
    row: Row[Any],
    *,
    cause: str,
    due_at: datetime,
    now: datetime,
    full: bool = False,
    unsigned: bool = False,
) -> None:
    """After an attempt that did not consume its slot: lease the slot for the next revision, or to be voided, from
    ``due_at`` on.

    The payments that the attempt still holds move to the new attempt. Where neither is needed the slot stays open and
    idle; the next payments on its channel use it.
    """
    use = await slot_use(tx, row, full=full, unsigned=unsigned)
    action = next_action(use=use, digests_max=execution.digests_max)
    if action is NextAction.IDLE:
        execution.waker.after(tx, ExecutionStep.LEASE)
        return
    voiding = action is NextAction.VOID
    new = await insert_attempt(
        tx,
        account=row.account,
        kind=Kind.VOID_SLOT if voiding else Kind.PAYMENT,
        memo=row.memo,  # a void carries no memo, but the payments that move along may be built again
        slot_id=row.slot_id,
        revision=row.revision + 1,
        due_at=max(due_at, now + void_pause(voids=use.voids)) if voiding else due_at,
        cause=cause,
        now=now,
    )
    await tx.execute(_HAND_OVER, {"old": row.attempt_id, "new": new, "now": now})
    if voiding:
        after_commit(tx, STELLAR_VOIDS.inc)
    execution.waker.after(tx, ExecutionStep.BUILD)


async def close_slot(
    tx: AsyncConnection,
    execution: Execution,
    row: Row[Any],
    *,
    consumed_by: str | None,
    result: Literal["succeeded", "failed", "expired"],
    ledger: int,
    now: datetime,
) -> None:
    """The slot's sequence number is consumed: dead revisions are superseded, the channel continues with the next number,
    and an event is published for the signer. ``consumed_by`` is a digest of the slot, unless ``expired`` says that none of them did it.
    """
    slot = await draw_version(tx, row.slot_id)
    await tx.execute(
        _CLOSE,
        {"slot": slot.slot_id, "now": now, "hash": consumed_by, "result": result, "ledger": ledger},
    )
    await tx.execute(_ADVANCE_CHANNEL, {"account": slot.account, "sequence": slot.sequence})
    others = await tx.execute(_DEAD, {"slot": slot.slot_id})
    for other in others.all():
        await move(
            tx,
            other,
            TransactionState.SUPERSEDED,
            cause=f"consumed by {consumed_by or 'none of our transactions'}",
            now=now,
        )
    event = execution.messages.slot_closed(
        slot=slot, consumed_by_hash=consumed_by, result=result, ledger=ledger
    )
    await execution.outbox.add(tx, [event])
    # payouts that left earlier revisions wait for the slot to close before they can be closed themselves
    waiting = list((await tx.execute(_LEFT_WITHOUT_EFFECT, {"slot": slot.slot_id})).scalars())
    await execution.report(tx, waiting, now=now)
