"""From a signed transaction to what the ledger proved."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.stellar import messages
from prizewire_payouts.stellar.domain.amounts import split_fee
from prizewire_payouts.stellar.domain.model import Attempt, Kind, LookUp, SlotView
from prizewire_payouts.stellar.domain.states import AttemptState
from prizewire_payouts.stellar.storage.context import Context, Step
from prizewire_payouts.stellar.storage.following import follow
from prizewire_payouts.stellar.storage.leasing import draw_version
from prizewire_payouts.stellar.storage.rows import (
    end_payments,
    free_payments,
    held_payments,
    lock_attempt,
    move,
)
from prizewire_payouts.stellar.storage.tables import attempts, channels, slots

REBUILDS_MAX = 5
"""Transactions that may fail around a payment for another's fault before its attempt ends without effect."""

_S = AttemptState
_OUTCOME_FROM = frozenset({_S.EXPORTED, _S.SIGNED, _S.SENT, _S.CHECKING})


async def commit_sent(
    tx: AsyncConnection, context: Context, attempt: Attempt, *, ledger: int, due: datetime, now: datetime
) -> bool:
    """Signed → sent, before anything leaves."""
    row = await lock_attempt(tx, attempt.attempt_id)
    if row.state != _S.SIGNED:
        return False
    await move(
        tx,
        row,
        _S.SENT,
        cause=f"ledger {ledger}",
        now=now,
        sent_ledger=ledger,
        asked_ledger=ledger,
        due_at=due,
    )
    await tell_items(tx, context, attempt.attempt_id, now=now)
    context.bells.after(tx, Step.CONFIRM)
    return True


async def note_asked(tx: AsyncConnection, attempt: Attempt, *, ledger: int, due: datetime) -> None:
    """Sent → sent: the same bytes again, or another look."""
    await tx.execute(
        update(attempts)
        .where(attempts.c.attempt_id == attempt.attempt_id, attempts.c.state == str(_S.SENT))
        .values(asked_ledger=ledger, due_at=due)
    )


async def to_checking(
    tx: AsyncConnection, context: Context, attempt: Attempt, *, detail: str, now: datetime
) -> bool:
    """No outcome yet: only the ledger can tell from here on."""
    row = await lock_attempt(tx, attempt.attempt_id)
    if row.state not in {_S.BUILT, _S.EXPORTED, _S.SIGNED, _S.SENT}:
        return False
    await move(tx, row, _S.CHECKING, cause=detail, now=now, due_at=now)
    await tell_items(tx, context, attempt.attempt_id, now=now)
    context.bells.after(tx, Step.RESOLVE)
    return True


_PAID = text(
    "UPDATE stellar_payments p SET state = 'paid', ledger = :ledger, op = i.op, changed_at = :now, "
    "fee = (CAST(:fees AS bigint[]))[i.op + 1] "
    "FROM stellar_items i WHERE i.attempt_id = :attempt AND i.provider_key = p.provider_key AND i.op IS NOT NULL "
    "AND i.code IS NULL AND p.attempt_id = :attempt AND p.state = 'batched' RETURNING p.payout_id"
)
_OPERATIONS = text("SELECT count(*) FROM stellar_items WHERE attempt_id = :attempt AND op IS NOT NULL")


async def succeed(
    tx: AsyncConnection, context: Context, attempt: Attempt, *, look_up: LookUp, now: datetime
) -> bool:
    """The ledger holds the transaction as applied: all its items are paid."""
    row = await lock_attempt(tx, attempt.attempt_id)
    if row.state not in _OUTCOME_FROM:
        return False
    count = (await tx.execute(_OPERATIONS, {"attempt": attempt.attempt_id})).scalar_one()
    charged = look_up.result.fee_charged if look_up.result is not None else 0
    await _finish(tx, row, _S.SUCCEEDED, look_up=look_up, now=now)
    paid = await tx.execute(
        _PAID,
        {
            "attempt": attempt.attempt_id,
            "ledger": look_up.ledger,
            "fees": split_fee(fee=charged, items=count) if count else [],
            "now": now,
        },
    )
    payout_ids = sorted(row.payout_id for row in paid)
    if len(payout_ids) != count:
        raise AssertionError(
            f"attempt {attempt.attempt_id} paid {count} operations, but has {len(payout_ids)} items"
        )
    await _end_voided(tx, row, now=now)
    await _close_by_own(tx, context, row, result="succeeded", look_up=look_up, now=now)
    if payout_ids:
        await context.on_progress(tx, payout_ids, now)
    context.bells.after(tx, Step.LEASE)
    return True


async def fail(
    tx: AsyncConnection,
    context: Context,
    attempt: Attempt,
    *,
    look_up: LookUp,
    codes: Mapping[int, str],
    now: datetime,
) -> bool:
    """The ledger holds the transaction as failed: nothing was paid. The guilty end, their neighbours are free. One
    that was to void its slot has consumed it all the same.
    """
    row = await lock_attempt(tx, attempt.attempt_id)
    if row.state not in _OUTCOME_FROM:
        return False
    await _finish(tx, row, _S.FAILED, look_up=look_up, now=now)
    await _end_voided(tx, row, now=now)
    held = await tx.execute(_HELD_ITEMS, {"attempt": attempt.attempt_id})
    ends: dict[UUID, str] = {}
    for item in held:
        if item.op in codes:
            ends[item.provider_key] = codes[item.op]
        elif item.rebuilds + 1 > REBUILDS_MAX:
            ends[item.provider_key] = PayoutCode.TX_FAILED
    ended = await end_payments(tx, attempt.attempt_id, ends, now=now)
    await free_payments(tx, attempt.attempt_id, due_at=now, now=now, rebuilds=1)
    await _close_by_own(tx, context, row, result="failed", look_up=look_up, now=now)
    if ended:
        await context.on_progress(tx, ended, now)
    context.bells.after(tx, Step.LEASE)
    return True


_HELD_ITEMS = text(
    "SELECT i.provider_key, i.op, p.rebuilds FROM stellar_items i JOIN stellar_payments p USING (provider_key) "
    "WHERE i.attempt_id = :attempt AND p.attempt_id = :attempt AND p.state = 'batched' "
    "ORDER BY p.provider_key FOR UPDATE OF p"
)


async def die(tx: AsyncConnection, context: Context, attempt: Attempt, *, detail: str, now: datetime) -> bool:
    """Checking → dead, by proof that it can never be applied; its payments go on in the next revision, or wait for
    the slot to be voided.
    """
    row = await lock_attempt(tx, attempt.attempt_id)
    if row.state != _S.CHECKING:
        return False
    await move(tx, row, _S.DEAD, cause=detail, now=now)
    await follow(tx, context, row, cause="the revision before is dead", due_at=now, now=now)
    await tell_items(tx, context, attempt.attempt_id, now=now)
    return True


async def to_review(
    tx: AsyncConnection, context: Context, attempt: Attempt, *, detail: str, now: datetime
) -> bool:
    """Checking → review: the attempt keeps its channel, which nobody uses until persons have decided."""
    row = await lock_attempt(tx, attempt.attempt_id)
    if row.state != _S.CHECKING:
        return False
    await move(tx, row, _S.REVIEW, cause=detail, now=now)
    await tell_items(tx, context, attempt.attempt_id, now=now)
    return True


async def slot_view(tx: AsyncConnection, slot_id: UUID) -> SlotView:
    """A slot with every digest that was built on it."""
    slot = (await tx.execute(select(slots).where(slots.c.slot_id == slot_id))).one()
    digests = await tx.execute(
        select(attempts.c.attempt_id, attempts.c.tx_hash)
        .where(attempts.c.slot_id == slot_id, attempts.c.tx_hash.is_not(None))
        .order_by(attempts.c.revision)
    )
    return SlotView(
        slot_id=slot.slot_id,
        account=slot.account,
        sequence=slot.sequence,
        digests=tuple((row.attempt_id, row.tx_hash) for row in digests),
    )


async def tell_items(tx: AsyncConnection, context: Context, attempt_id: int, *, now: datetime) -> None:
    """There is news of every payout in an attempt."""
    found = await tx.execute(
        text(
            "SELECT p.payout_id FROM stellar_items i JOIN stellar_payments p USING (provider_key) "
            "WHERE i.attempt_id = :attempt AND p.state = 'batched' ORDER BY p.payout_id"
        ),
        {"attempt": attempt_id},
    )
    payout_ids = list(found.scalars())
    if payout_ids:
        await context.on_progress(tx, payout_ids, now)


_TAKEN_OUT = text(
    "SELECT DISTINCT p.payout_id FROM stellar_attempts a JOIN stellar_items i USING (attempt_id) "
    "JOIN stellar_payments p USING (provider_key) WHERE a.slot_id = :slot AND p.state = 'no_effect' "
    "AND NOT EXISTS (SELECT 1 FROM stellar_payments x WHERE x.payout_id = p.payout_id AND x.state = 'paid') "
    "ORDER BY p.payout_id"
)


async def _end_voided(tx: AsyncConnection, row: Row[Any], *, now: datetime) -> None:
    """The payments that wait on a slot which its void has consumed: none of the slot's digests can ever be applied."""
    if row.kind == Kind.VOID_SLOT:
        held = await held_payments(tx, row.attempt_id)
        await end_payments(tx, row.attempt_id, dict.fromkeys(held, PayoutCode.TX_EXPIRED), now=now)


async def _finish(
    tx: AsyncConnection, row: Row[Any], state: AttemptState, *, look_up: LookUp, now: datetime
) -> None:
    await move(
        tx,
        row,
        state,
        cause=f"ledger {look_up.ledger}",
        now=now,
        result_xdr=look_up.result_xdr,
        result_ledger=look_up.ledger,
        fee_charged=look_up.result.fee_charged if look_up.result is not None else None,
    )


async def _close_by_own(
    tx: AsyncConnection,
    context: Context,
    row: Row[Any],
    *,
    result: Literal["succeeded", "failed"],
    look_up: LookUp,
    now: datetime,
) -> None:
    if look_up.ledger is None:
        raise AssertionError(f"a look-up of {row.tx_hash} proves {result} without a ledger")
    await close_slot(tx, context, row, consumed_by=row.tx_hash, result=result, ledger=look_up.ledger, now=now)


async def close_slot(
    tx: AsyncConnection,
    context: Context,
    row: Row[Any],
    *,
    consumed_by: str | None,
    result: Literal["succeeded", "failed", "expired"],
    ledger: int,
    now: datetime,
) -> None:
    """The slot's sequence number is consumed: dead revisions are superseded, the channel goes on with the next one,
    the signer is told. ``consumed_by`` is a digest of the slot, unless ``expired`` says that none of them did it.
    """
    slot = await draw_version(tx, row.slot_id)
    await tx.execute(
        update(slots)
        .where(slots.c.slot_id == slot.slot_id)
        .values(state="closed", closed_at=now, consumed_by_hash=consumed_by, result=result, ledger=ledger)
    )
    await tx.execute(
        update(channels)
        .where(channels.c.account == slot.account, channels.c.sequence < slot.sequence)
        .values(sequence=slot.sequence)
    )
    others = await tx.execute(
        select(attempts)
        .where(attempts.c.slot_id == slot.slot_id, attempts.c.state == str(_S.DEAD))
        .order_by(attempts.c.attempt_id)
        .with_for_update()
    )
    for other in others.all():
        await move(tx, other, _S.SUPERSEDED, cause=f"consumed by {consumed_by or 'nothing of ours'}", now=now)
    event = messages.slot_closed(
        context, slot=slot, consumed_by_hash=consumed_by, result=result, ledger=ledger
    )
    await context.outbox.add(tx, [event])
    # Those who were taken out of earlier revisions wait for the slot's end, to be closed themselves.
    waiting = list((await tx.execute(_TAKEN_OUT, {"slot": slot.slot_id})).scalars())
    if waiting:
        await context.on_progress(tx, waiting, now)
