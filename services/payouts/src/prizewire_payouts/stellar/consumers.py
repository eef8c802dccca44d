"""`prizewire.signing.results.v1`: each answer of the signer is stored whole and applied to its attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import Incoming, Refusal
from prizewire_chassis.logging import get_logger
from prizewire_contracts.codes import PayoutCode, RefusalCode
from prizewire_contracts.events.signing import (
    ClosedEvent,
    CloseRefusedEvent,
    MessagesRefusedEvent,
    SigningCompleted,
    SigningCompletedEvent,
    SigningRefused,
    SigningRefusedEvent,
)
from prizewire_payouts.execution import OnSignerAnswer
from prizewire_payouts.metrics import STELLAR_SIGNER_WAITS, STELLAR_UNKNOWN_ANSWERS
from prizewire_payouts.stellar.adapters.transactions import attach_signatures
from prizewire_payouts.stellar.domain.model import Kind
from prizewire_payouts.stellar.domain.states import SignaturesRefused, TransactionState
from prizewire_payouts.stellar.handlers.codes import (
    SIGNER_WAITS,
    SLOT_FULL,
    SLOT_UNSIGNED,
    STALE,
    code_of,
)
from prizewire_payouts.stellar.storage.execution import Execution, ExecutionStep
from prizewire_payouts.stellar.storage.rows import (
    REST_CHANNEL,
    end_payments,
    free_payments,
    lock_attempt,
    move,
)
from prizewire_payouts.stellar.storage.slots import continue_slot, slot_use
from prizewire_payouts.stellar.storage.unasked import keep_unasked

REFUSALS_MAX = 20
"""Refusals of whole requests that a payment may get (over more than ten minutes) before its attempt ends."""
WAIT_MAX = timedelta(hours=2)
"""The longest that a payment waits before the signer is asked again: longer than any wait that the signer names."""
REST = 4
"""How many times longer than the payments their channel rests, so that they go to another channel if there is one."""

_S = TransactionState
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Wait:
    """Until when a payment waits in the queue, and how many refusals that counts."""

    until: datetime
    refusals: int


@dataclass(frozen=True, slots=True)
class _Sorted:
    """A refused batch, sorted: payments that end with their codes, those that wait, and how often the worst of
    the others was refused so far.
    """

    ends: dict[UUID, str]
    waits: dict[UUID, _Wait]
    refusals: int


@dataclass(frozen=True, slots=True)
class SigningResults:
    """The handler of the consumer ``payouts.signing``."""

    execution: Execution
    on_closed: OnSignerAnswer
    on_close_refused: OnSignerAnswer

    async def __call__(self, tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
        """Apply the signer's answers in their order."""
        await self._keep(tx, batch)
        refusals: dict[int, Refusal] = {}
        for index, incoming in enumerate(batch):
            refusal = await self._apply(tx, incoming)
            if refusal is not None:
                refusals[index] = refusal
        return refusals

    async def _keep(self, tx: AsyncConnection, batch: Sequence[Incoming]) -> None:
        """Store the signed events: the lineage shows them as the signer's part."""
        rows = [
            {
                "event_id": item.event.id,
                "type": item.event.type,
                "subject": item.event.subject,
                "correlation_id": item.event.correlationid,
                "at": item.event.time,
                "event": orjson.dumps(item.raw).decode(),
            }
            for item in batch
        ]
        await tx.execute(_KEEP, rows)

    async def _apply(self, tx: AsyncConnection, incoming: Incoming) -> Refusal | None:
        event = incoming.event
        now = self.execution.clock.now()
        if isinstance(event, SigningCompletedEvent):
            return await self._completed(tx, event, now=now)
        if isinstance(event, SigningRefusedEvent):
            return await self._refused(tx, event.data, cause=event.id, now=now)
        if isinstance(event, MessagesRefusedEvent):
            return None  # stored, and shown in the lineage
        assert isinstance(event, ClosedEvent | CloseRefusedEvent)
        closed = isinstance(event, ClosedEvent)
        if not await (self.on_closed if closed else self.on_close_refused)(tx, incoming):
            _without_effect(tx, "closed" if closed else "close_refused", payout_id=str(event.data.payout_id))
        return None

    async def _completed(
        self, tx: AsyncConnection, event: SigningCompletedEvent, *, now: datetime
    ) -> Refusal | None:
        data, cause = event.data, event.id
        row = await self._attempt(tx, data)
        if row is None:
            await keep_unasked(tx, event)
            _without_effect(tx, "completed", slot=str(data.slot.slot_id), tx_hash=data.tx_hash)
            return None
        if row.signed_xdr is not None:
            return None
        try:
            signed_xdr = attach_signatures(
                unsigned_xdr=row.unsigned_xdr,
                tx_hash=bytes.fromhex(row.tx_hash),
                signatures=[(one.public_key, one.signature) for one in data.signatures],
                signers=self._signers(row),
            )
        except SignaturesRefused as error:
            return _mismatch(str(error))
        if row.state in {_S.BUILT, _S.EXPORTED}:
            await move(tx, row, _S.SIGNED, cause=cause, now=now, signed_xdr=signed_xdr, due_at=now)
            self.execution.waker.after(tx, ExecutionStep.SEND)
        else:  # too late for this revision; stored, since a transaction with these signatures may have been sent
            await tx.execute(_KEEP_SIGNED, {"attempt": row.attempt_id, "signed": signed_xdr})
        return None

    async def _refused(
        self, tx: AsyncConnection, data: SigningRefused, *, cause: str, now: datetime
    ) -> Refusal | None:
        row = await self._attempt(tx, data)
        if row is None:
            _without_effect(tx, "refused", slot=str(data.slot.slot_id), tx_hash=data.tx_hash)
            return None
        if row.state != _S.BUILT:
            return None  # past its maxTime already: only the ledger proves its outcome
        await move(tx, row, _S.REFUSED, cause=f"{data.code} {cause}", now=now)
        if row.kind == Kind.VOID_SLOT:
            await self._void_refused(tx, row, data, now=now)
            return None
        sorted_out = await self._sort(tx, row, data, now=now)
        ended = await end_payments(tx, row.attempt_id, sorted_out.ends, now=now)
        await self.execution.report(tx, ended, now=now)
        for key, wait in sorted_out.waits.items():
            await free_payments(
                tx, row.attempt_id, keys=[key], due_at=wait.until, now=now, refusals=wait.refusals
            )
        if sorted_out.waits:
            after_commit(tx, lambda: STELLAR_SIGNER_WAITS.inc(len(sorted_out.waits)))
        pause = retry_pause(sorted_out.refusals)
        if data.code == SLOT_FULL:
            await continue_slot(
                tx, self.execution, row, cause=f"refused: {data.code}", due_at=now, now=now, full=True
            )
            return None
        if data.items:
            # the refused payments have left the batch: the others are built again at once
            await continue_slot(tx, self.execution, row, cause=f"refused: {data.code}", due_at=now, now=now)
            return None
        if (await slot_use(tx, row)).digests:
            await self._count(tx, row.attempt_id, by=0 if data.code == STALE else 1)
            await continue_slot(
                tx, self.execution, row, cause=f"refused: {data.code}", due_at=now + pause, now=now
            )
            return None
        # the whole request was refused, and no item named: the payments go to another channel, and this one rests
        counted = 0 if data.code == STALE else 1
        await free_payments(tx, row.attempt_id, due_at=now + pause * counted, now=now, refusals=counted)
        if counted:
            await tx.execute(
                REST_CHANNEL,
                {
                    "account": row.account,
                    "until": now + REST * pause,
                    "reason": f"the signer refuses: {data.code}",
                },
            )
        self.execution.waker.after(tx, ExecutionStep.LEASE)
        return None

    async def _sort(
        self, tx: AsyncConnection, row: Row[Any], data: SigningRefused, *, now: datetime
    ) -> "_Sorted":
        """Which payments this refusal ends, and which leave the batch to wait."""
        named = {item.payout_id: item for item in data.items}
        found = await tx.execute(_HELD, {"attempt": row.attempt_id})
        ends: dict[UUID, str] = {}
        waits: dict[UUID, _Wait] = {}
        refusals = 0
        for payment in found:
            item = named.get(payment.payout_id)
            if item is not None and item.code not in SIGNER_WAITS:
                ends[payment.provider_key] = code_of(item.code)
            elif item is not None and item.not_before is not None:
                until = datetime.fromtimestamp(min(item.not_before, int((now + WAIT_MAX).timestamp())), UTC)
                waits[payment.provider_key] = _Wait(max(until, now + retry_pause(0)), 0)
            elif item is not None and payment.refusals >= REFUSALS_MAX:
                ends[payment.provider_key] = PayoutCode.SIGNER_BOUND
            elif item is not None:
                waits[payment.provider_key] = _Wait(now + retry_pause(payment.refusals), 1)
            elif not named and payment.refusals >= REFUSALS_MAX:
                ends[payment.provider_key] = PayoutCode.SIGNER_REFUSED
            else:
                refusals = max(refusals, payment.refusals)
        return _Sorted(ends, waits, refusals)

    async def _void_refused(
        self, tx: AsyncConnection, row: Row[Any], data: SigningRefused, *, now: datetime
    ) -> None:
        """A refused void concerns no payment: it is requested again after a pause, unless there is nothing to void."""
        await continue_slot(
            tx,
            self.execution,
            row,
            cause=f"refused: {data.code}",
            due_at=now,
            now=now,
            unsigned=data.code == SLOT_UNSIGNED,
        )

    def _signers(self, row: Row[Any]) -> tuple[str, ...]:
        return (row.account,) if row.kind == Kind.VOID_SLOT else (row.account, self.execution.treasury)

    async def _count(self, tx: AsyncConnection, attempt_id: int, *, by: int) -> None:
        if by:
            await tx.execute(_COUNT, {"attempt": attempt_id})

    async def _attempt(self, tx: AsyncConnection, data: SigningCompleted | SigningRefused) -> Row[Any] | None:
        found = await tx.execute(_BY_HASH, {"hash": data.tx_hash})
        attempt_id = found.scalar_one_or_none()
        if attempt_id is None:
            return None
        row = await lock_attempt(tx, attempt_id)
        if row.slot_id != data.slot.slot_id or row.revision != data.revision:
            return None
        return row


_KEEP = text(
    "INSERT INTO stellar_signing_results (event_id, type, subject, correlation_id, at, event) "
    "VALUES (:event_id, :type, :subject, :correlation_id, :at, CAST(:event AS jsonb)) ON CONFLICT DO NOTHING"
)
_KEEP_SIGNED = text("UPDATE stellar_attempts SET signed_xdr = :signed WHERE attempt_id = :attempt")
_BY_HASH = text("SELECT attempt_id FROM stellar_attempts WHERE tx_hash = :hash")
_HELD = text(
    "SELECT provider_key, payout_id, refusals FROM stellar_payments "
    "WHERE attempt_id = :attempt AND state = 'batched' ORDER BY provider_key FOR UPDATE"
)
_COUNT = text(
    "UPDATE stellar_payments SET refusals = refusals + 1 WHERE attempt_id = :attempt AND state = 'batched'"
)


def retry_pause(refusals: int) -> timedelta:
    """How long to wait before asking the signer again after this many refusals as a whole: 1 s up to a minute."""
    return timedelta(seconds=min(60, 2 ** min(refusals, 6)))


def _without_effect(tx: AsyncConnection, kind: str, **about: str) -> None:
    """Count an answer to a request that payouts does not know. It is not parked: somebody who requests in payouts' name
    could block the consumer.
    """
    after_commit(tx, STELLAR_UNKNOWN_ANSWERS.labels(kind).inc)
    _log.warning("the signer answered an unknown request", kind=kind, **about)


def _mismatch(detail: str) -> Refusal:
    return Refusal(RefusalCode.EVENT_MISMATCH, detail, park=True)
