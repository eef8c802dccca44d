"""Transactions in review with their evidence, and the settling of a review."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts.codes import PayoutCode
from prizewire_money import Amount, AssetRegistry
from prizewire_payouts.stellar.domain.model import Kind, PaymentFacts, split_fee
from prizewire_payouts.stellar.domain.review import (
    Digest,
    Evidence,
    EvidenceState,
    Held,
    Review,
    ReviewOutcome,
    Settlement,
)
from prizewire_payouts.stellar.domain.states import ReviewRefused, TransactionState
from prizewire_payouts.stellar.storage.execution import Execution, ExecutionStep
from prizewire_payouts.stellar.storage.rows import end_payments, held_payments, lock_attempt, move
from prizewire_payouts.stellar.storage.slots import close_slot

# Every transaction that is or was in review, with what last brought it there.
_REVIEWS = (
    "SELECT a.attempt_id, a.state, a.kind, a.account, s.sequence, a.slot_id, a.tx_hash, t.at AS since, t.cause AS why "
    "FROM stellar_attempts a JOIN stellar_slots s USING (slot_id) JOIN LATERAL ("
    "SELECT at, cause FROM stellar_transitions WHERE attempt_id = a.attempt_id AND to_state = 'review' "
    "ORDER BY id DESC LIMIT 1) t ON true "
)
_OPEN = text(_REVIEWS + "WHERE a.state = 'review' ORDER BY t.at DESC, a.attempt_id DESC")
_ONE = text(_REVIEWS + "WHERE a.attempt_id = :attempt")
_LOCK = text("SELECT 1 FROM stellar_attempts WHERE attempt_id = :attempt FOR UPDATE")
_DIGESTS = text(
    "SELECT a.attempt_id, a.tx_hash, a.kind, a.state, a.max_time, "
    "array_agg(i.provider_key ORDER BY i.op) FILTER (WHERE i.op IS NOT NULL AND i.code IS NULL) AS keys, "
    "array_agg(i.op ORDER BY i.op) FILTER (WHERE i.op IS NOT NULL AND i.code IS NULL) AS ops "
    "FROM stellar_attempts a LEFT JOIN stellar_items i USING (attempt_id) "
    "WHERE a.slot_id = :slot AND a.tx_hash IS NOT NULL GROUP BY a.attempt_id ORDER BY a.revision"
)
_HELD = text(
    "SELECT p.provider_key, p.payout_id, p.asset, p.amount_minor, p.stroops, p.destination, p.memo, "
    "o.player, o.filed_by, CAST(o.sources AS text) AS sources FROM stellar_payments p JOIN payouts o USING (payout_id) "
    "WHERE p.attempt_id = :attempt AND p.state = 'batched' ORDER BY p.provider_key"
)
_FILE = text(
    "INSERT INTO stellar_evidence (evidence_id, attempt_id, state, outcome, tx_hash, ledger, found, reason, filed_by, "
    "filed_at) VALUES (:evidence, :attempt, :state, :outcome, :hash, :ledger, :found, :reason, :by, :at)"
)
_DECIDE = text(
    "UPDATE stellar_evidence SET state = :state, decided_by = :by, decided_at = :now, note = :note "
    "WHERE evidence_id = :evidence"
)
_EVIDENCE = text("SELECT * FROM stellar_evidence WHERE attempt_id = :attempt ORDER BY filed_at, evidence_id")
_PAID = text(
    "UPDATE stellar_payments p SET state = 'paid', ledger = :ledger, op = u.op, fee = u.fee, changed_at = :now "
    "FROM unnest(CAST(:keys AS uuid[]), CAST(:ops AS int[]), CAST(:fees AS bigint[])) AS u(key, op, fee) "
    "WHERE p.provider_key = u.key AND p.attempt_id = :attempt AND p.state = 'batched' RETURNING p.payout_id"
)


class ReviewStorage:
    """`prizewire_payouts.stellar.ports.Reviews` over one transaction."""

    def __init__(self, tx: AsyncConnection, *, execution: Execution, assets: AssetRegistry) -> None:
        self._tx = tx
        self._execution = execution
        self._assets = assets

    async def open(self) -> list[Review]:
        """What is in review now, newest first."""
        return [await self._review(row) for row in (await self._tx.execute(_OPEN)).all()]

    async def find(self, attempt_id: int, *, lock: bool = False) -> Review | None:
        """A transaction that is or was in review; with ``lock`` it is locked until the transaction ends."""
        if lock:
            await self._tx.execute(_LOCK, {"attempt": attempt_id})
        row = (await self._tx.execute(_ONE, {"attempt": attempt_id})).one_or_none()
        return None if row is None else await self._review(row)

    async def file(self, review: Review, filed: Evidence) -> None:
        """Store evidence that a first person filed."""
        await self._tx.execute(
            _FILE,
            {
                "evidence": filed.evidence_id,
                "attempt": review.attempt_id,
                "state": str(filed.state),
                "outcome": str(filed.outcome),
                "hash": filed.tx_hash,
                "ledger": filed.ledger,
                "found": filed.found,
                "reason": filed.reason,
                "by": filed.filed_by,
                "at": filed.filed_at,
            },
        )

    async def decide(
        self, evidence_id: UUID, *, state: EvidenceState, by: str, note: str | None, now: datetime
    ) -> None:
        """Store the decision of another person on it."""
        await self._tx.execute(
            _DECIDE, {"evidence": evidence_id, "state": str(state), "by": by, "now": now, "note": note}
        )

    async def settle(self, review: Review, settlement: Settlement, *, cause: str, now: datetime) -> None:
        """Review → succeeded or failed: payments that were made are paid, the others end without effect, the slot is
        closed and an event published for the signer. The channel is free afterwards.
        """
        tx, execution = self._tx, self._execution
        row = await lock_attempt(tx, review.attempt_id)
        if row.state != TransactionState.REVIEW:
            raise ReviewRefused(
                "not_in_review", f"the transaction is {row.state}: there is nothing to decide"
            )
        succeeded = settlement.outcome is ReviewOutcome.SUCCEEDED
        await move(
            tx,
            row,
            TransactionState.SUCCEEDED if succeeded else TransactionState.FAILED,
            cause=cause,
            now=now,
            result_ledger=settlement.ledger,
            fee_charged=settlement.fee_charged,
        )
        concerned = [one.payout_id for one in review.held]
        await self._pay(row, settlement, now=now)
        rest = await held_payments(tx, row.attempt_id)
        await end_payments(tx, row.attempt_id, dict.fromkeys(rest, PayoutCode.TX_EXPIRED), now=now)
        await close_slot(
            tx,
            execution,
            row,
            consumed_by=settlement.tx_hash,
            result=settlement.result,
            ledger=settlement.ledger,
            now=now,
        )
        await execution.report(tx, sorted(concerned), now=now)
        execution.waker.after(tx, ExecutionStep.LEASE)

    async def _pay(self, row: Row[Any], settlement: Settlement, *, now: datetime) -> None:
        keys = sorted(settlement.paid)
        if not keys:
            return
        paid = await self._tx.execute(
            _PAID,
            {
                "attempt": row.attempt_id,
                "keys": keys,
                "ops": [settlement.paid[key] for key in keys],
                "fees": split_fee(fee=settlement.fee_charged, items=len(keys)),
                "ledger": settlement.ledger,
                "now": now,
            },
        )
        if len(paid.all()) != len(keys):
            raise AssertionError(f"attempt {row.attempt_id} does not hold all that is to be paid")

    async def _review(self, row: Row[Any]) -> Review:
        digests = await self._tx.execute(_DIGESTS, {"slot": row.slot_id})
        held = await self._tx.execute(_HELD, {"attempt": row.attempt_id})
        filed = await self._tx.execute(_EVIDENCE, {"attempt": row.attempt_id})
        return Review(
            attempt_id=row.attempt_id,
            state=TransactionState(row.state),
            kind=Kind(row.kind),
            account=row.account,
            sequence=row.sequence,
            slot_id=row.slot_id,
            tx_hash=row.tx_hash,
            since=row.since,
            why=row.why,
            digests=tuple(_digest(one) for one in digests),
            held=tuple(self._held(one) for one in held),
            evidence=tuple(_evidence(one) for one in filed),
        )

    def _held(self, row: Row[Any]) -> Held:
        return Held(
            provider_key=row.provider_key,
            payout_id=row.payout_id,
            asset=row.asset,
            amount=Amount(self._assets[row.asset], row.amount_minor).to_wire(),
            facts=PaymentFacts(
                source=self._execution.treasury,
                destination=row.destination,
                asset=self._execution.assets[row.asset],
                stroops=row.stroops,
            ),
            memo=row.memo,
            player=row.player,
            filed_by=row.filed_by,
            sources=tuple((role, subject) for role, subject in orjson.loads(row.sources)),
        )


def _digest(row: Row[Any]) -> Digest:
    keys: Sequence[UUID] = row.keys or ()
    return Digest(
        tx_hash=row.tx_hash,
        kind=Kind(row.kind),
        state=TransactionState(row.state),
        max_time=row.max_time,
        operations=dict(zip(keys, row.ops or (), strict=True)),
    )


def _evidence(row: Row[Any]) -> Evidence:
    return Evidence(
        evidence_id=row.evidence_id,
        state=EvidenceState(row.state),
        outcome=ReviewOutcome(row.outcome),
        tx_hash=row.tx_hash,
        ledger=row.ledger,
        found=row.found,
        reason=row.reason,
        filed_by=row.filed_by,
        filed_at=row.filed_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        note=row.note,
    )
