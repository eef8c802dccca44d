"""From queued payments to a built transaction."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts import ids
from prizewire_payouts.stellar import messages
from prizewire_payouts.stellar.domain.model import ITEMS_MAX, Attempt
from prizewire_payouts.stellar.domain.states import AttemptState
from prizewire_payouts.stellar.ports import BuildPlan, Leased
from prizewire_payouts.stellar.storage.context import Context, Step
from prizewire_payouts.stellar.storage.following import follow
from prizewire_payouts.stellar.storage.rows import (
    HOLDING_STATES,
    attempt_of,
    end_payments,
    free_payments,
    insert_attempt,
    lock_attempt,
    move,
    payments_of,
)
from prizewire_payouts.stellar.storage.tables import attempts, channels, payments, slots

_QUEUE_HEAD = text(
    "SELECT memo, due_at FROM stellar_payments WHERE state = 'queued' AND due_at <= :now ORDER BY due_at LIMIT 1"
)
_QUEUE_GROUP = text(
    "SELECT provider_key FROM stellar_payments WHERE state = 'queued' AND memo = :memo AND due_at <= :now "
    "ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED"
)
# A channel whose slot lies open and idle comes first: payouts may be bound to it at the signer until it is consumed.
_FREE_CHANNEL = text(
    "SELECT c.account FROM stellar_channels c WHERE c.account = ANY(CAST(:accounts AS text[])) "
    "AND (c.rest_until IS NULL OR c.rest_until <= :now) AND NOT EXISTS ("
    "SELECT 1 FROM stellar_attempts a WHERE a.account = c.account AND a.state = ANY(CAST(:holding AS text[]))) "
    "ORDER BY EXISTS (SELECT 1 FROM stellar_slots s WHERE s.account = c.account AND s.state = 'open') DESC, "
    "c.leased_at NULLS FIRST, c.account LIMIT 1 FOR UPDATE OF c SKIP LOCKED"
)
_HELD = text(
    "SELECT 1 FROM stellar_attempts WHERE account = :account AND state = ANY(CAST(:holding AS text[])) LIMIT 1"
)
_OPEN_SLOT = text(
    "SELECT s.slot_id, coalesce(max(a.revision), 0) AS revision FROM stellar_slots s "
    "LEFT JOIN stellar_attempts a USING (slot_id) WHERE s.account = :account AND s.state = 'open' GROUP BY s.slot_id"
)
_BATCH = text(
    "WITH taken AS (UPDATE stellar_payments SET state = 'batched', attempt_id = :attempt, changed_at = :now "
    "WHERE provider_key = ANY(CAST(:keys AS uuid[])) RETURNING provider_key) "
    "INSERT INTO stellar_items (attempt_id, provider_key) SELECT :attempt, provider_key FROM taken"
)


async def enlist_channels(tx: AsyncConnection, accounts: tuple[str, ...]) -> None:
    """Make configured channels known; those already there stay as they are."""
    await tx.execute(
        insert(channels).on_conflict_do_nothing(),
        [{"account": account, "sequence": 0} for account in sorted(accounts)],
    )


async def lease(tx: AsyncConnection, context: Context, *, now: datetime) -> Leased:
    """Payments of one memo without an open attempt, and a channel without a holder, in one transaction.

    A batch that is not full waits for company until its oldest payment has waited for the linger time.
    """
    head = (await tx.execute(_QUEUE_HEAD, {"now": now})).one_or_none()
    if head is None:
        return Leased(taken=False)
    wanted = {"memo": head.memo, "now": now, "limit": ITEMS_MAX}
    keys = list((await tx.execute(_QUEUE_GROUP, wanted)).scalars())
    if not keys:
        return Leased(taken=False)  # another process is taking them
    lingers_until = head.due_at + context.linger
    if len(keys) < ITEMS_MAX and now < lingers_until:
        return Leased(taken=False, wait_s=(lingers_until - now).total_seconds())
    account = await _free_channel(tx, context, now=now)
    if account is None:
        return Leased(taken=False)
    slot = (await tx.execute(_OPEN_SLOT, {"account": account})).one_or_none()
    attempt_id = await insert_attempt(
        tx,
        account=account,
        memo=head.memo,
        slot_id=None if slot is None else slot.slot_id,
        revision=None if slot is None else slot.revision + 1,
        due_at=now,
        cause=f"{len(keys)} payments",
        now=now,
    )
    await tx.execute(_BATCH, {"attempt": attempt_id, "keys": keys, "now": now})
    await tx.execute(update(channels).where(channels.c.account == account).values(leased_at=now))
    context.bells.after(tx, Step.BUILD)
    return Leased(taken=True)


async def _free_channel(tx: AsyncConnection, context: Context, *, now: datetime) -> str | None:
    found = await tx.execute(
        _FREE_CHANNEL, {"accounts": list(context.channels), "holding": HOLDING_STATES, "now": now}
    )
    account: str | None = found.scalar_one_or_none()
    if account is None:
        return None
    # Looked at again under the lock: the row may have been leased and released since the statement began.
    held = await tx.execute(_HELD, {"account": account, "holding": HOLDING_STATES})
    return account if held.one_or_none() is None else None


async def release(
    tx: AsyncConnection,
    context: Context,
    attempt: Attempt,
    *,
    ejected: Mapping[UUID, str],
    retry_at: datetime,
    rest: tuple[datetime, str] | None,
    now: datetime,
) -> bool:
    """Leased → released: the ejected end, the others are free from ``retry_at`` on; the channel may have to rest.
    Where that leaves a slot on which something may have been signed, it is voided.
    """
    row = await lock_attempt(tx, attempt.attempt_id)
    if row.state != AttemptState.LEASED:
        return False
    ended = await end_payments(tx, attempt.attempt_id, dict(ejected), now=now)
    await free_payments(tx, attempt.attempt_id, due_at=retry_at, now=now)
    await move(tx, row, AttemptState.RELEASED, cause="nothing to build" if rest is None else rest[1], now=now)
    if rest is not None:
        await tx.execute(
            update(channels)
            .where(channels.c.account == attempt.account)
            .values(rest_until=rest[0], rest_reason=rest[1])
        )
    if row.slot_id is not None:
        await follow(tx, context, row, cause="nothing is left to build", due_at=now, now=now)
    await _tell(tx, context, ended, now=now)
    context.bells.after(tx, Step.LEASE)
    return True


async def commit_built(
    tx: AsyncConnection, context: Context, attempt: Attempt, *, plan: BuildPlan, now: datetime
) -> bool:
    """Leased → built: slot, hash, transaction, items and the signed request leave in one commit, or none does."""
    row = await lock_attempt(tx, attempt.attempt_id)
    if row.state != AttemptState.LEASED:
        return False
    known = {payment.provider_key for payment in attempt.payments}
    held = await tx.execute(
        select(payments.c.provider_key)
        .where(payments.c.attempt_id == attempt.attempt_id, payments.c.state == "batched")
        .order_by(payments.c.provider_key)
        .with_for_update()
    )
    if set(held.scalars()) != known:
        return False  # one was cancelled meanwhile: build again without it
    ended = await end_payments(tx, attempt.attempt_id, dict(plan.ejected), now=now)
    if plan.waiting:
        await free_payments(tx, attempt.attempt_id, keys=plan.waiting, due_at=plan.retry_at or now, now=now)
    slot = await _slot_of(tx, context, row, sequence=plan.built.sequence, now=now)
    revision = row.revision or 1
    await move(
        tx,
        row,
        AttemptState.BUILT,
        cause=f"{len(plan.items)} operations",
        now=now,
        slot_id=slot.slot_id,
        revision=revision,
        tx_hash=plan.built.tx_hash,
        unsigned_xdr=plan.built.unsigned_xdr,
        fee=plan.built.fee,
        fee_cap=plan.fee_cap,
        max_time=plan.built.max_time,
        due_at=now + timedelta(seconds=max(1, plan.built.max_time - int(now.timestamp()))),
    )
    await tx.execute(_ITEMS, {"attempt": attempt.attempt_id, "keys": list(plan.items)})
    await tx.execute(_OFFERED, {"keys": list(plan.items)})
    by_key = {payment.provider_key: payment for payment in attempt.payments}
    event = messages.signing_requested(
        context,
        slot=slot,
        revision=revision,
        kind=attempt.kind,
        plan=plan,
        payments=[by_key[key] for key in plan.items],
    )
    await context.outbox.add(tx, [event])
    await _tell(tx, context, ended, now=now)
    if plan.waiting:
        context.bells.after(tx, Step.LEASE)
    return True


_ITEMS = text(
    "UPDATE stellar_items i SET op = u.op - 1 "
    "FROM unnest(CAST(:keys AS uuid[])) WITH ORDINALITY AS u(key, op) "
    "WHERE i.attempt_id = :attempt AND i.provider_key = u.key"
)
_OFFERED = text("UPDATE stellar_payments SET offered = true WHERE provider_key = ANY(CAST(:keys AS uuid[]))")


async def _slot_of(
    tx: AsyncConnection, context: Context, row: Row[Any], *, sequence: int, now: datetime
) -> messages.SlotRow:
    """The attempt's slot, opened where it has none yet, with the version of its next event drawn."""
    slot_id = row.slot_id
    if slot_id is None:
        if sequence <= row.channel_sequence:
            raise AssertionError(f"the sequence {sequence} of {row.account} was used by a closed slot")
        slot_id = ids.slot_id(
            chain="stellar", network=context.network, account=row.account, sequence=sequence
        )
        await tx.execute(
            insert(slots).values(
                slot_id=slot_id,
                account=row.account,
                sequence=sequence,
                state="open",
                version=0,
                opened_at=now,
            )
        )
    elif sequence != row.slot_sequence:
        raise AssertionError(f"a revision of slot {slot_id} was built on the sequence {sequence}")
    return await draw_version(tx, slot_id)


async def draw_version(tx: AsyncConnection, slot_id: UUID) -> messages.SlotRow:
    """The slot, locked, with the version of its next event."""
    found = await tx.execute(
        update(slots)
        .where(slots.c.slot_id == slot_id)
        .values(version=slots.c.version + 1)
        .returning(slots.c.slot_id, slots.c.account, slots.c.sequence, slots.c.version)
    )
    row = found.one()
    return messages.SlotRow(
        slot_id=row.slot_id, account=row.account, sequence=row.sequence, version=row.version
    )


async def load(
    tx: AsyncConnection, context: Context, rows: list[Row[Any]], *, with_payments: bool
) -> list[Attempt]:
    """Attempts from their rows."""
    if not with_payments:
        return [attempt_of(row) for row in rows]
    held = await payments_of(tx, [row.attempt_id for row in rows], assets=context.assets)
    return [attempt_of(row, held[row.attempt_id]) for row in rows]


async def postpone(tx: AsyncConnection, attempt_id: int, *, until: datetime) -> None:
    """The attempt is due at ``until``."""
    await tx.execute(update(attempts).where(attempts.c.attempt_id == attempt_id).values(due_at=until))


async def _tell(tx: AsyncConnection, context: Context, payout_ids: list[UUID], *, now: datetime) -> None:
    if payout_ids:
        await context.on_progress(tx, payout_ids, now)
