"""From queued payments to a built transaction."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_payouts.stellar.domain.model import ITEMS_MAX, TransactionAttempt
from prizewire_payouts.stellar.domain.states import TransactionState
from prizewire_payouts.stellar.ports import BuildPlan, Leased
from prizewire_payouts.stellar.storage.attempts import AttemptStorage
from prizewire_payouts.stellar.storage.execution import Execution, ExecutionStep, in_transaction
from prizewire_payouts.stellar.storage.rows import (
    HOLDING_STATES,
    REST_CHANNEL,
    end_payments,
    free_payments,
    held_payments,
    insert_attempt,
    lock_attempt,
    move,
)
from prizewire_payouts.stellar.storage.slots import continue_slot, open_slot

_QUEUE_HEAD = text(
    "SELECT memo, due_at FROM stellar_payments WHERE state = 'queued' AND due_at <= :now ORDER BY due_at LIMIT 1"
)
_QUEUE_GROUP = text(
    "SELECT provider_key FROM stellar_payments WHERE state = 'queued' AND memo = :memo AND due_at <= :now "
    "ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED"
)
# A channel with an open and idle slot comes first: the signer binds payouts to that slot until it is consumed.
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
_ENLIST = text("INSERT INTO stellar_channels (account, sequence) VALUES (:account, 0) ON CONFLICT DO NOTHING")
_LEASE_CHANNEL = text("UPDATE stellar_channels SET leased_at = :now WHERE account = :account")
_ITEMS = text(
    "UPDATE stellar_items i SET op = u.op - 1 "
    "FROM unnest(CAST(:keys AS uuid[])) WITH ORDINALITY AS u(key, op) "
    "WHERE i.attempt_id = :attempt AND i.provider_key = u.key"
)
_OFFERED = text("UPDATE stellar_payments SET offered = true WHERE provider_key = ANY(CAST(:keys AS uuid[]))")


class LeaseStorage(AttemptStorage):
    """`prizewire_payouts.stellar.ports.Leases` over PostgreSQL."""

    def __init__(self, execution: Execution) -> None:
        super().__init__(execution)
        self._enlisted = False

    async def lease(self, *, now: datetime) -> Leased:
        """See the port."""
        if not self._enlisted:
            await self._enlist()
            self._enlisted = True
        return await self._lease(now=now)

    @in_transaction
    async def _enlist(self, tx: AsyncConnection) -> None:
        """Insert configured channels; those that exist stay as they are."""
        await tx.execute(_ENLIST, [{"account": account} for account in sorted(self.execution.channels)])

    @in_transaction
    async def _lease(self, tx: AsyncConnection, *, now: datetime) -> Leased:
        """Payments of one memo without an open attempt, and a channel without a holder, in one transaction.

        A batch that is not full waits for company until its oldest payment has waited for the linger time.
        """
        head = (await tx.execute(_QUEUE_HEAD, {"now": now})).one_or_none()
        if head is None:
            return Leased(taken=False)
        wanted = {"memo": head.memo, "now": now, "limit": ITEMS_MAX}
        keys = list((await tx.execute(_QUEUE_GROUP, wanted)).scalars())
        if not keys:
            return Leased(taken=False)  # another process is leasing them
        lingers_until = head.due_at + self.execution.linger
        if len(keys) < ITEMS_MAX and now < lingers_until:
            return Leased(taken=False, wait_s=(lingers_until - now).total_seconds())
        account = await self._free_channel(tx, now=now)
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
        await tx.execute(_LEASE_CHANNEL, {"account": account, "now": now})
        self.execution.waker.after(tx, ExecutionStep.BUILD)
        return Leased(taken=True)

    async def _free_channel(self, tx: AsyncConnection, *, now: datetime) -> str | None:
        found = await tx.execute(
            _FREE_CHANNEL, {"accounts": list(self.execution.channels), "holding": HOLDING_STATES, "now": now}
        )
        account: str | None = found.scalar_one_or_none()
        if account is None:
            return None
        # Looked at again under the lock: the row may have been leased and released since the statement began.
        held = await tx.execute(_HELD, {"account": account, "holding": HOLDING_STATES})
        return account if held.one_or_none() is None else None

    @in_transaction
    async def release(
        self,
        tx: AsyncConnection,
        attempt: TransactionAttempt,
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
        if row.state != TransactionState.LEASED:
            return False
        ended = await end_payments(tx, attempt.attempt_id, dict(ejected), now=now)
        await free_payments(tx, attempt.attempt_id, due_at=retry_at, now=now)
        await move(
            tx, row, TransactionState.RELEASED, cause="nothing to build" if rest is None else rest[1], now=now
        )
        if rest is not None:
            await tx.execute(REST_CHANNEL, {"account": attempt.account, "until": rest[0], "reason": rest[1]})
        if row.slot_id is not None:
            await continue_slot(
                tx, self.execution, row, cause="nothing is left to build", due_at=now, now=now
            )
        await self.execution.report(tx, ended, now=now)
        self.execution.waker.after(tx, ExecutionStep.LEASE)
        return True

    @in_transaction
    async def commit_built(
        self, tx: AsyncConnection, attempt: TransactionAttempt, *, plan: BuildPlan, now: datetime
    ) -> bool:
        """Leased → built: slot, hash, transaction, items and the signed request leave in one commit, or none does."""
        row = await lock_attempt(tx, attempt.attempt_id)
        if row.state != TransactionState.LEASED:
            return False
        known = {payment.provider_key for payment in attempt.payments}
        if set(await held_payments(tx, attempt.attempt_id)) != known:
            return False  # a payment was cancelled since: build again without it
        ended = await end_payments(tx, attempt.attempt_id, dict(plan.ejected), now=now)
        if plan.waiting:
            await free_payments(
                tx, attempt.attempt_id, keys=plan.waiting, due_at=plan.retry_at or now, now=now
            )
        slot = await open_slot(tx, self.execution, row, sequence=plan.built.sequence, now=now)
        revision = row.revision or 1
        await tx.execute(_ITEMS, {"attempt": attempt.attempt_id, "keys": list(plan.items)})
        await move(
            tx,
            row,
            TransactionState.BUILT,
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
        await tx.execute(_OFFERED, {"keys": list(plan.items)})
        by_key = {payment.provider_key: payment for payment in attempt.payments}
        event = self.execution.messages.signing_requested(
            slot=slot,
            revision=revision,
            kind=attempt.kind,
            plan=plan,
            payments=[by_key[key] for key in plan.items],
        )
        await self.execution.outbox.add(tx, [event])
        await self.execution.report(tx, ended, now=now)
        if plan.waiting:
            self.execution.waker.after(tx, ExecutionStep.LEASE)
        return True
