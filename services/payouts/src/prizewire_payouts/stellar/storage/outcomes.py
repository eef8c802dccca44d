"""From a signed transaction to what the ledger proves."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.stellar.domain.model import Kind, LookUp, SlotView, TransactionAttempt, split_fee
from prizewire_payouts.stellar.domain.states import TransactionState
from prizewire_payouts.stellar.storage.attempts import AttemptStorage
from prizewire_payouts.stellar.storage.execution import ExecutionStep, in_transaction
from prizewire_payouts.stellar.storage.rows import (
    end_payments,
    free_payments,
    held_payments,
    lock_attempt,
    move,
)
from prizewire_payouts.stellar.storage.slots import close_slot, continue_slot

REBUILDS_MAX = 5
"""Transactions that may fail around a payment for another's fault before its attempt ends without effect."""

_S = TransactionState
_OUTCOME_FROM = frozenset({_S.EXPORTED, _S.SIGNED, _S.SENT, _S.CHECKING})
_NOTE_CHECKED = text(
    "UPDATE stellar_attempts SET asked_ledger = :ledger, due_at = :due WHERE attempt_id = :attempt AND state = 'sent'"
)
_PAID = text(
    "UPDATE stellar_payments p SET state = 'paid', ledger = :ledger, op = i.op, changed_at = :now, "
    "fee = (CAST(:fees AS bigint[]))[i.op + 1] "
    "FROM stellar_items i WHERE i.attempt_id = :attempt AND i.provider_key = p.provider_key AND i.op IS NOT NULL "
    "AND i.code IS NULL AND p.attempt_id = :attempt AND p.state = 'batched' RETURNING p.payout_id"
)
_OPERATIONS = text("SELECT count(*) FROM stellar_items WHERE attempt_id = :attempt AND op IS NOT NULL")
_HELD_ITEMS = text(
    "SELECT i.provider_key, i.op, p.rebuilds FROM stellar_items i JOIN stellar_payments p USING (provider_key) "
    "WHERE i.attempt_id = :attempt AND p.attempt_id = :attempt AND p.state = 'batched' "
    "ORDER BY p.provider_key FOR UPDATE OF p"
)
_SLOT = text("SELECT account, sequence FROM stellar_slots WHERE slot_id = :slot")
_SLOT_DIGESTS = text(
    "SELECT attempt_id, tx_hash FROM stellar_attempts WHERE slot_id = :slot AND tx_hash IS NOT NULL ORDER BY revision"
)
_ITEMS = text(
    "SELECT p.payout_id FROM stellar_items i JOIN stellar_payments p USING (provider_key) "
    "WHERE i.attempt_id = :attempt AND p.state = 'batched' ORDER BY p.payout_id"
)


class OutcomeStorage(AttemptStorage):
    """`prizewire_payouts.stellar.ports.Outcomes` over PostgreSQL."""

    @in_transaction
    async def commit_sent(
        self, tx: AsyncConnection, attempt: TransactionAttempt, *, ledger: int, due: datetime, now: datetime
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
        await self._report_items(tx, attempt.attempt_id, now=now)
        self.execution.waker.after(tx, ExecutionStep.CONFIRM)
        return True

    @in_transaction
    async def note_checked(
        self, tx: AsyncConnection, attempt: TransactionAttempt, *, ledger: int, due: datetime
    ) -> None:
        """Sent → sent: the same bytes were sent again, or looked up again."""
        await tx.execute(_NOTE_CHECKED, {"attempt": attempt.attempt_id, "ledger": ledger, "due": due})

    @in_transaction
    async def to_checking(
        self, tx: AsyncConnection, attempt: TransactionAttempt, *, detail: str, now: datetime
    ) -> bool:
        """The outcome is unknown: from now on only the ledger proves it."""
        row = await lock_attempt(tx, attempt.attempt_id)
        if row.state not in {_S.BUILT, _S.EXPORTED, _S.SIGNED, _S.SENT}:
            return False
        await move(tx, row, _S.CHECKING, cause=detail, now=now, due_at=now)
        await self._report_items(tx, attempt.attempt_id, now=now)
        self.execution.waker.after(tx, ExecutionStep.RESOLVE)
        return True

    @in_transaction
    async def succeed(
        self, tx: AsyncConnection, attempt: TransactionAttempt, *, look_up: LookUp, now: datetime
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
        await self._close_by_own(tx, row, result="succeeded", look_up=look_up, now=now)
        await self.execution.report(tx, payout_ids, now=now)
        self.execution.waker.after(tx, ExecutionStep.LEASE)
        return True

    @in_transaction
    async def fail(
        self,
        tx: AsyncConnection,
        attempt: TransactionAttempt,
        *,
        look_up: LookUp,
        codes: Mapping[int, str],
        now: datetime,
    ) -> bool:
        """The ledger holds the transaction as failed: nothing was paid. The guilty end, their neighbours are free. One
        that was to void its slot has consumed it nevertheless.
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
        await self._close_by_own(tx, row, result="failed", look_up=look_up, now=now)
        await self.execution.report(tx, ended, now=now)
        self.execution.waker.after(tx, ExecutionStep.LEASE)
        return True

    @in_transaction
    async def mark_dead(
        self, tx: AsyncConnection, attempt: TransactionAttempt, *, detail: str, now: datetime
    ) -> bool:
        """Checking → dead, by proof that it can never be applied; its payments go on in the next revision, or wait for
        the slot to be voided.
        """
        row = await lock_attempt(tx, attempt.attempt_id)
        if row.state != _S.CHECKING:
            return False
        await move(tx, row, _S.DEAD, cause=detail, now=now)
        await continue_slot(tx, self.execution, row, cause="the revision before is dead", due_at=now, now=now)
        await self._report_items(tx, attempt.attempt_id, now=now)
        return True

    @in_transaction
    async def to_review(
        self, tx: AsyncConnection, attempt: TransactionAttempt, *, detail: str, now: datetime
    ) -> bool:
        """Checking → review: the attempt keeps its channel, which is not used until two persons have decided."""
        row = await lock_attempt(tx, attempt.attempt_id)
        if row.state != _S.CHECKING:
            return False
        await move(tx, row, _S.REVIEW, cause=detail, now=now)
        await self._report_items(tx, attempt.attempt_id, now=now)
        return True

    @in_transaction
    async def slot(self, tx: AsyncConnection, slot_id: UUID) -> SlotView:
        """See the port."""
        slot = (await tx.execute(_SLOT, {"slot": slot_id})).one()
        digests = await tx.execute(_SLOT_DIGESTS, {"slot": slot_id})
        return SlotView(
            slot_id=slot_id,
            account=slot.account,
            sequence=slot.sequence,
            digests=tuple((row.attempt_id, row.tx_hash) for row in digests),
        )

    async def _report_items(self, tx: AsyncConnection, attempt_id: int, *, now: datetime) -> None:
        """Report progress for every payout in an attempt."""
        payout_ids = list((await tx.execute(_ITEMS, {"attempt": attempt_id})).scalars())
        await self.execution.report(tx, payout_ids, now=now)

    async def _close_by_own(
        self,
        tx: AsyncConnection,
        row: Row[Any],
        *,
        result: Literal["succeeded", "failed"],
        look_up: LookUp,
        now: datetime,
    ) -> None:
        if look_up.ledger is None:
            raise AssertionError(f"a look-up of {row.tx_hash} proves {result} without a ledger")
        await close_slot(
            tx, self.execution, row, consumed_by=row.tx_hash, result=result, ledger=look_up.ledger, now=now
        )


async def _end_voided(tx: AsyncConnection, row: Row[Any], *, now: datetime) -> None:
    """End the payments that wait on a slot which its void has consumed: none of the slot's digests can be applied any more."""
    if row.kind == Kind.VOID_SLOT:
        held = await held_payments(tx, row.attempt_id)
        await end_payments(tx, row.attempt_id, dict.fromkeys(held, PayoutCode.TX_EXPIRED), now=now)


async def _finish(
    tx: AsyncConnection, row: Row[Any], state: TransactionState, *, look_up: LookUp, now: datetime
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
