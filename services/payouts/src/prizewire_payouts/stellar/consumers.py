"""What the signer answered: stored whole, and applied to its attempt, in the batch transaction that brought it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
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
from prizewire_payouts.metrics import STELLAR_SIGNER_WAITS, STELLAR_UNKNOWN_ANSWERS
from prizewire_payouts.stellar.adapters.transactions import attach_signatures
from prizewire_payouts.stellar.domain.errors import SignaturesRefused
from prizewire_payouts.stellar.domain.model import Kind
from prizewire_payouts.stellar.domain.states import AttemptState
from prizewire_payouts.stellar.handlers.refusals import (
    SIGNER_WAITS,
    SLOT_FULL,
    SLOT_UNSIGNED,
    STALE,
    code_of,
)
from prizewire_payouts.stellar.storage.context import Context, OnSignerWord, Step
from prizewire_payouts.stellar.storage.following import follow, slot_use
from prizewire_payouts.stellar.storage.rows import end_payments, free_payments, lock_attempt, move
from prizewire_payouts.stellar.storage.tables import attempts, channels, signing_results

REFUSALS_MAX = 20
"""Refusals, not of itself, that a payment goes through (over more than ten minutes) before its attempt ends."""
WAIT_MAX = timedelta(hours=2)
"""The longest that a payment waits before the signer is asked again, whatever it said: longer than any of its waits."""
REST = 4
"""How much longer than the payments their channel rests, so that they go elsewhere, where there is elsewhere."""

_S = AttemptState
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Wait:
    """Until when a payment waits in the queue, and how many refusals that counts."""

    until: datetime
    refusals: int


@dataclass(frozen=True, slots=True)
class _Sorted:
    """What becomes of a refused batch: payments that end with their codes, those that wait, and how often the worst of
    the others was refused so far.
    """

    ends: dict[UUID, str]
    waits: dict[UUID, _Wait]
    refusals: int


@dataclass(frozen=True, slots=True)
class SigningResults:
    """The handler of the consumer ``payouts.signing``."""

    context: Context
    on_closed: OnSignerWord
    on_close_refused: OnSignerWord

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
        """Store the signed events: they are the signer's part of a lineage."""
        rows = [
            {
                "event_id": item.event.id,
                "type": item.event.type,
                "subject": item.event.subject,
                "correlation_id": item.event.correlationid,
                "at": item.event.time,
                "event": item.raw,
            }
            for item in batch
        ]
        await tx.execute(insert(signing_results).on_conflict_do_nothing(), rows)

    async def _apply(self, tx: AsyncConnection, incoming: Incoming) -> Refusal | None:
        event = incoming.event
        now = self.context.clock.now()
        if isinstance(event, SigningCompletedEvent):
            return await self._completed(tx, event.data, cause=event.id, now=now)
        if isinstance(event, SigningRefusedEvent):
            return await self._refused(tx, event.data, cause=event.id, now=now)
        if isinstance(event, MessagesRefusedEvent):
            return None  # kept, and shown with the signer's other words
        assert isinstance(event, ClosedEvent | CloseRefusedEvent)
        closed = isinstance(event, ClosedEvent)
        if not await (self.on_closed if closed else self.on_close_refused)(tx, incoming):
            _without_effect(tx, "closed" if closed else "close_refused", payout_id=str(event.data.payout_id))
        return None

    async def _completed(
        self, tx: AsyncConnection, data: SigningCompleted, *, cause: str, now: datetime
    ) -> Refusal | None:
        row = await self._attempt(tx, data)
        if row is None:
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
            self.context.bells.after(tx, Step.SEND)
        else:  # too late for this revision; kept, since it may be out
            await tx.execute(
                update(attempts).where(attempts.c.attempt_id == row.attempt_id).values(signed_xdr=signed_xdr)
            )
        return None

    async def _refused(
        self, tx: AsyncConnection, data: SigningRefused, *, cause: str, now: datetime
    ) -> Refusal | None:
        row = await self._attempt(tx, data)
        if row is None:
            _without_effect(tx, "refused", slot=str(data.slot.slot_id), tx_hash=data.tx_hash)
            return None
        if row.state != _S.BUILT:
            return None  # past its maxTime already: proved by the ledger, not by a word
        await move(tx, row, _S.REFUSED, cause=f"{data.code} {cause}", now=now)
        if row.kind == Kind.VOID_SLOT:
            await self._void_refused(tx, row, data, now=now)
            return None
        sorted_out = await self._sort(tx, row, data, now=now)
        ended = await end_payments(tx, row.attempt_id, sorted_out.ends, now=now)
        if ended:
            await self.context.on_progress(tx, ended, now)
        for key, wait in sorted_out.waits.items():
            await free_payments(
                tx, row.attempt_id, keys=[key], due_at=wait.until, now=now, refusals=wait.refusals
            )
        if sorted_out.waits:
            after_commit(tx, lambda: STELLAR_SIGNER_WAITS.inc(len(sorted_out.waits)))
        pause = retry_pause(sorted_out.refusals)
        if data.code == SLOT_FULL:
            await follow(tx, self.context, row, cause=f"refused: {data.code}", due_at=now, now=now, full=True)
            return None
        if data.items:
            # Those to blame are out: the others go on at once.
            await follow(tx, self.context, row, cause=f"refused: {data.code}", due_at=now, now=now)
            return None
        if (await slot_use(tx, row)).digests:
            await self._count(tx, row.attempt_id, by=0 if data.code == STALE else 1)
            await follow(tx, self.context, row, cause=f"refused: {data.code}", due_at=now + pause, now=now)
            return None
        # The whole request, for none of its items: let them try another channel, and this one rest.
        counted = 0 if data.code == STALE else 1
        await free_payments(tx, row.attempt_id, due_at=now + pause * counted, now=now, refusals=counted)
        if counted:
            await tx.execute(
                update(channels)
                .where(channels.c.account == row.account)
                .values(rest_until=now + REST * pause, rest_reason=f"the signer refuses: {data.code}")
            )
        self.context.bells.after(tx, Step.LEASE)
        return None

    async def _sort(
        self, tx: AsyncConnection, row: Row[Any], data: SigningRefused, *, now: datetime
    ) -> "_Sorted":
        """Which payments end by this refusal, and which leave the batch to wait."""
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
        """Nobody's payment is to blame: it is asked again after a pause, unless there is nothing to void."""
        await follow(
            tx,
            self.context,
            row,
            cause=f"refused: {data.code}",
            due_at=now,
            now=now,
            unsigned=data.code == SLOT_UNSIGNED,
        )

    def _signers(self, row: Row[Any]) -> tuple[str, ...]:
        return (row.account,) if row.kind == Kind.VOID_SLOT else (row.account, self.context.treasury)

    async def _count(self, tx: AsyncConnection, attempt_id: int, *, by: int) -> None:
        if by:
            await tx.execute(_COUNT, {"attempt": attempt_id})

    async def _attempt(self, tx: AsyncConnection, data: SigningCompleted | SigningRefused) -> Row[Any] | None:
        found = await tx.execute(select(attempts.c.attempt_id).where(attempts.c.tx_hash == data.tx_hash))
        attempt_id = found.scalar_one_or_none()
        if attempt_id is None:
            return None
        row = await lock_attempt(tx, attempt_id)
        if row.slot_id != data.slot.slot_id or row.revision != data.revision:
            return None
        return row


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
    """Count an answer to what payouts never asked. It parks nothing: whoever asks in payouts' name could park at will."""
    after_commit(tx, STELLAR_UNKNOWN_ANSWERS.labels(kind).inc)
    _log.warning("the signer answered what was never asked", kind=kind, **about)


def _mismatch(detail: str) -> Refusal:
    return Refusal(RefusalCode.EVENT_MISMATCH, detail, park=True)
