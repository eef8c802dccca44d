"""Payouts and attempts of one transaction: loaded as changes, and saved with transitions and events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause

from prizewire_chassis.db import after_commit
from prizewire_contracts.encode import EncodedEvent
from prizewire_payouts.metrics import ATTEMPT_STEPS, HOLDS, PAYOUT_STEPS
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import AttemptState, PayoutState
from prizewire_payouts.payouts.messages import payout_events
from prizewire_payouts.payouts.storage import rows
from prizewire_payouts.payouts.storage import statements as sql
from prizewire_payouts.unit_of_work import UnitOfWork


class PayoutStorage:
    """`prizewire_payouts.payouts.ports.Payouts` over PostgreSQL."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._unit_of_work = unit_of_work
        self._tx = unit_of_work.tx
        self._changes: list[Change] = []

    async def lock(self, ids: Iterable[UUID], *, with_attempts: bool = False) -> dict[UUID, Change]:
        """See the port."""
        changes = await self._load(sql.LOCK_PAYOUTS, {"ids": list(ids)}, with_attempts=with_attempts)
        return {change.payout.payout_id: change for change in changes}

    async def lock_approved(self, *, rail: str, now: datetime, limit: int) -> list[Change]:
        """See the port."""
        return await self._load(sql.LOCK_APPROVED, {"rail": rail, "now": now, "limit": limit})

    async def lock_watched(self, *, rail: str, now: datetime, limit: int) -> list[Change]:
        """See the port."""
        wanted = {"rail": rail, "now": now, "limit": limit}
        return await self._load(sql.LOCK_WATCHED, wanted, with_attempts=True)

    async def lock_expired(self, *, now: datetime, limit: int) -> list[Change]:
        """See the port."""
        return await self._load(sql.LOCK_EXPIRED, {"now": now, "limit": limit})

    async def lock_unrouted(self, *, rails: Sequence[str], limit: int) -> list[Change]:
        """See the port."""
        return await self._load(sql.LOCK_UNROUTED, {"rails": list(rails), "limit": limit})

    def add(self, payout: Payout) -> Change:
        """See the port."""
        change = Change(payout, is_new=True, touched=True)
        self._changes.append(change)
        return change

    async def look_up_now(
        self, *, keys: Sequence[UUID], references: Sequence[tuple[str, str]], now: datetime
    ) -> int:
        """See the port."""
        found = await self._tx.execute(
            sql.LOOK_UP_NOW,
            {
                "keys": list(keys),
                "rails": [rail for rail, _ in references],
                "references": [reference for _, reference in references],
                "now": now,
            },
        )
        if found.rowcount:
            self._unit_of_work.wake()
        return found.rowcount

    async def look_up_payouts_now(self, ids: Sequence[UUID], *, now: datetime) -> None:
        """Make these payouts due whose outcome is open or may change, and wake the rails' workers."""
        await self._tx.execute(sql.LOOK_UP_PAYOUTS_NOW, {"ids": list(ids), "now": now})
        self._unit_of_work.wake()

    async def save(self) -> None:
        """See the port."""
        changes = sorted(
            (change for change in self._changes if change.touched),
            key=lambda change: change.payout.payout_id,
        )
        self._changes = []
        if not changes:
            return
        await self._save_payouts(changes)
        await self._save_attempts(changes)
        await self._save_transitions(changes)
        events: list[EncodedEvent] = []
        for change in changes:
            events.extend(payout_events(change, outbox=self._unit_of_work.outbox))
        await self._unit_of_work.publish(events)
        if any(change.payout.state is PayoutState.APPROVED for change in changes):
            self._unit_of_work.wake()

    async def _load(
        self, query: TextClause, wanted: Mapping[str, Any], *, with_attempts: bool = False
    ) -> list[Change]:
        assets = self._unit_of_work.assets
        changes = [Change(rows.payout_from(row, assets)) for row in await self._tx.execute(query, wanted)]
        if with_attempts:
            ids = [change.payout.payout_id for change in changes]
            found = await self._tx.execute(sql.LATEST_ATTEMPTS, {"ids": ids})
            attempts = {row.payout_id: rows.attempt_from(row) for row in found}
            for change in changes:
                change.attempt = attempts.get(change.payout.payout_id)
        self._changes += changes
        return changes

    async def _save_payouts(self, changes: Sequence[Change]) -> None:
        """Insert new payouts and update all. The trigger sees each transition: the first comes with the update, each
        further one by a statement of its own.
        """
        new = [rows.payout_json(change) for change in changes if change.is_new]
        if new:
            await self._tx.execute(sql.INSERT_PAYOUTS, {"rows": rows.dumps(new)})
        await self._tx.execute(
            sql.UPDATE_PAYOUTS, {"rows": rows.dumps([rows.payout_json(change) for change in changes])}
        )
        for index in range(1, max(len(change.transitions) for change in changes)):
            moving = [change for change in changes if index < len(change.transitions)]
            await self._tx.execute(
                sql.MOVE_PAYOUTS,
                {
                    "ids": [change.payout.payout_id for change in moving],
                    "states": [change.transitions[index].new for change in moving],
                },
            )

    async def _save_attempts(self, changes: Sequence[Change]) -> None:
        new = [
            rows.attempt_json(change.attempt, state=AttemptState.OPENED)
            for change in changes
            if change.attempt is not None and change.attempt_is_new
        ]
        if new:
            await self._tx.execute(sql.INSERT_ATTEMPTS, {"rows": rows.dumps(new)})
        for index in range(max(len(change.attempt_transitions) for change in changes)):
            moving = [
                rows.attempt_json(change.attempt, state=change.attempt_transitions[index].new)
                for change in changes
                if change.attempt is not None and index < len(change.attempt_transitions)
            ]
            await self._tx.execute(sql.UPDATE_ATTEMPTS, {"rows": rows.dumps(moving)})

    async def _save_transitions(self, changes: Sequence[Change]) -> None:
        transitions = [
            {
                "payout_id": change.payout.payout_id,
                "from_state": one.old,
                "to_state": one.new,
                "cause": one.cause,
                "actor": one.actor,
                "code": one.code,
                "correlation_id": change.payout.correlation_id,
                "at": one.at,
            }
            for change in changes
            for one in change.transitions
        ]
        if transitions:
            await self._tx.execute(sql.INSERT_TRANSITIONS, {"rows": rows.dumps(transitions)})
        of_attempts = [
            {
                "payout_id": change.payout.payout_id,
                "attempt_no": one.attempt_no,
                "from_state": one.old,
                "to_state": one.new,
                "cause": one.cause,
                "code": one.code,
                "at": one.at,
            }
            for change in changes
            for one in change.attempt_transitions
        ]
        if of_attempts:
            await self._tx.execute(sql.INSERT_ATTEMPT_TRANSITIONS, {"rows": rows.dumps(of_attempts)})
        after_commit(self._tx, lambda: _count(changes))


def _count(changes: Sequence[Change]) -> None:
    for change in changes:
        for one in change.transitions:
            PAYOUT_STEPS.labels(one.new).inc()
            if one.new is PayoutState.HELD:
                HOLDS.labels(one.code).inc()
        for of_attempt in change.attempt_transitions:
            ATTEMPT_STEPS.labels(of_attempt.new).inc()
