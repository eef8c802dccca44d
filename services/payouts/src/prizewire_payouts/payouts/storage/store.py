"""The store over PostgreSQL: a fixed number of statements for any number of payouts, events included."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import TextClause, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Database, after_commit
from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_money import Amount, Asset, AssetRegistry
from prizewire_payouts.metrics import ATTEMPT_STEPS, HOLDS, PAYOUT_STEPS
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Attempt, Method, Pause, Payout
from prizewire_payouts.payouts.domain.states import AttemptState, PayoutState
from prizewire_payouts.payouts.messages import method_event, payout_events
from prizewire_payouts.payouts.ports import MethodRecord, PayoutFilter, Store, StoredPayout
from prizewire_payouts.payouts.storage import rows, tables
from prizewire_payouts.payouts.storage import statements as sql
from prizewire_payouts.payouts.storage.listing import listing, stored_listing

T = TypeVar("T")


class PostgresStore:
    """`prizewire_payouts.payouts.ports.Store` within one transaction of PostgreSQL.

    ``on_due`` is called after the commit of a transaction that left work for a worker.
    """

    def __init__(
        self,
        tx: AsyncConnection,
        *,
        assets: AssetRegistry,
        outbox: Outbox,
        on_due: Callable[[], None] | None = None,
    ) -> None:
        self._tx = tx
        self._assets = assets
        self._outbox = outbox
        self._on_due = on_due

    async def lock_payouts(self, ids: Iterable[UUID]) -> dict[UUID, Payout]:
        """See the port."""
        table = tables.payouts
        query = (
            select(table)
            .where(table.c.payout_id.in_(list(ids)))
            .order_by(table.c.payout_id)
            .with_for_update()
        )
        return {payout.payout_id: payout for payout in await self._payouts(query)}

    async def payout(self, payout_id: UUID) -> Payout | None:
        """See the port."""
        table = tables.payouts
        found = await self._payouts(select(table).where(table.c.payout_id == payout_id))
        return found[0] if found else None

    async def list_payouts(self, wanted: PayoutFilter) -> list[Payout]:
        """See the port."""
        return await self._payouts(listing(wanted))

    async def list_stored(
        self, *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[StoredPayout]:
        """See the port."""
        found = await self._tx.execute(stored_listing(since=since, before=before, limit=limit))
        return [StoredPayout(rows.payout_from(row, self._assets), row.stored_at) for row in found]

    async def has_rail(self, rail: str) -> bool:
        """See the port."""
        table = tables.payouts
        found = await self._tx.execute(select(table.c.payout_id).where(table.c.rail == rail).limit(1))
        return found.one_or_none() is not None

    async def lock_approved(self, *, rail: str, now: datetime, limit: int) -> list[Payout]:
        """See the port."""
        return await self._payouts(sql.LOCK_APPROVED, rail=rail, now=now, limit=limit)

    async def lock_watched(self, *, rail: str, now: datetime, limit: int) -> list[Payout]:
        """See the port."""
        return await self._payouts(sql.LOCK_WATCHED, rail=rail, now=now, limit=limit)

    async def look_now(
        self, *, keys: Sequence[UUID], references: Sequence[tuple[str, str]], now: datetime
    ) -> int:
        """See the port."""
        found = await self._tx.execute(
            sql.LOOK_NOW,
            {
                "keys": list(keys),
                "rails": [rail for rail, _ in references],
                "references": [reference for _, reference in references],
                "now": now,
            },
        )
        if found.rowcount and self._on_due is not None:
            after_commit(self._tx, self._on_due)
        return found.rowcount

    async def lock_expired(self, *, now: datetime, limit: int) -> list[Payout]:
        """See the port."""
        return await self._payouts(sql.LOCK_EXPIRED, now=now, limit=limit)

    async def lock_unrouted(self, *, rails: Sequence[str], limit: int) -> list[Payout]:
        """See the port."""
        return await self._payouts(sql.LOCK_UNROUTED, rails=list(rails), limit=limit)

    async def _payouts(self, query: Any, **parameters: Any) -> list[Payout]:
        if isinstance(query, TextClause):
            query = query.columns(*tables.payouts.c)
        found = await self._tx.execute(query, parameters)
        return [rows.payout_from(row, self._assets) for row in found]

    async def latest_attempts(self, ids: Iterable[UUID]) -> dict[UUID, Attempt]:
        """See the port."""
        query = sql.LATEST_ATTEMPTS.columns(*tables.attempts.c)
        found = await self._tx.execute(query, {"ids": list(ids)})
        return {row.payout_id: rows.attempt_from(row) for row in found}

    async def attempts(self, payout_id: UUID) -> list[Attempt]:
        """See the port."""
        table = tables.attempts
        query = select(table).where(table.c.payout_id == payout_id).order_by(table.c.attempt_no)
        return [rows.attempt_from(row) for row in await self._tx.execute(query)]

    async def approvers(self, payout: Payout) -> list[str]:
        """See the port."""
        table = tables.approvals
        query = (
            select(table.c.approver)
            .where(table.c.payout_id == payout.payout_id, table.c.hold_no == payout.hold_no)
            .order_by(table.c.at, table.c.approver)
        )
        return [row.approver for row in await self._tx.execute(query)]

    async def add_approval(self, *, payout: Payout, approver: str, note: str | None, now: datetime) -> None:
        """See the port."""
        await self._tx.execute(
            insert(tables.approvals).values(
                payout_id=payout.payout_id, hold_no=payout.hold_no, approver=approver, note=note, at=now
            )
        )

    async def lock_automatic_use(self, *, day: date, assets: Iterable[Asset]) -> dict[str, Amount]:
        """See the port."""
        by_code = {asset.code: asset for asset in assets}
        if not by_code:
            return {}
        found = await self._tx.execute(sql.LOCK_AUTOMATIC_USE, {"day": day, "assets": sorted(by_code)})
        return {row.asset: Amount(by_code[row.asset], row.used_minor) for row in found}

    async def add_automatic_use(self, *, day: date, taken: Mapping[str, Amount]) -> None:
        """See the port."""
        if taken:
            codes = sorted(taken)
            minor = [taken[code].minor for code in codes]
            found = await self._tx.execute(
                sql.ADD_AUTOMATIC_USE, {"day": day, "assets": codes, "minor": minor}
            )
            assert found.rowcount == len(codes), "the assets were not locked"

    async def save(self, changes: Sequence[Change]) -> None:
        """See the port."""
        if not changes:
            return
        ordered = sorted(changes, key=lambda change: change.payout.payout_id)
        new = [rows.payout_json(change) for change in ordered if change.is_new]
        if new:
            await self._tx.execute(sql.INSERT_PAYOUTS, {"rows": rows.dumps(new)})
        await self._tx.execute(
            sql.UPDATE_PAYOUTS, {"rows": rows.dumps([rows.payout_json(change) for change in ordered])}
        )
        for index in range(1, max(len(change.steps) for change in ordered)):
            moving = [change for change in ordered if index < len(change.steps)]
            await self._tx.execute(
                sql.STEP_PAYOUTS,
                {
                    "ids": [change.payout.payout_id for change in moving],
                    "states": [change.steps[index].new for change in moving],
                },
            )
        await self._save_attempts(ordered)
        await self._save_steps(ordered)
        events: list[EncodedEvent] = []
        for change in ordered:
            events.extend(payout_events(change, outbox=self._outbox))
        await self._outbox.add(self._tx, events)
        if self._on_due is not None and any(
            change.payout.state is PayoutState.APPROVED for change in changes
        ):
            after_commit(self._tx, self._on_due)

    async def _save_attempts(self, changes: Sequence[Change]) -> None:
        new = [
            rows.attempt_json(change.attempt, state=AttemptState.OPENED)
            for change in changes
            if change.attempt is not None and change.attempt_is_new
        ]
        if new:
            await self._tx.execute(sql.INSERT_ATTEMPTS, {"rows": rows.dumps(new)})
        for index in range(max(len(change.attempt_steps) for change in changes)):
            moving = [
                rows.attempt_json(change.attempt, state=change.attempt_steps[index].new)
                for change in changes
                if change.attempt is not None and index < len(change.attempt_steps)
            ]
            await self._tx.execute(sql.UPDATE_ATTEMPTS, {"rows": rows.dumps(moving)})

    async def _save_steps(self, changes: Sequence[Change]) -> None:
        steps = [
            {
                "payout_id": change.payout.payout_id,
                "from_state": step.old,
                "to_state": step.new,
                "cause": step.cause,
                "actor": step.actor,
                "code": step.code,
                "correlation_id": change.payout.correlation_id,
                "at": step.at,
            }
            for change in changes
            for step in change.steps
        ]
        if steps:
            await self._tx.execute(sql.INSERT_STEPS, {"rows": rows.dumps(steps)})
        attempt_steps = [
            {
                "payout_id": change.payout.payout_id,
                "attempt_no": step.attempt_no,
                "from_state": step.old,
                "to_state": step.new,
                "cause": step.cause,
                "code": step.code,
                "at": step.at,
            }
            for change in changes
            for step in change.attempt_steps
        ]
        if attempt_steps:
            await self._tx.execute(sql.INSERT_ATTEMPT_STEPS, {"rows": rows.dumps(attempt_steps)})
        after_commit(self._tx, lambda: _count(changes))

    async def methods(self, ids: Iterable[UUID]) -> dict[UUID, Method]:
        """See the port."""
        wanted = list(ids)
        if not wanted:
            return {}
        table = tables.methods
        found = await self._tx.execute(select(table).where(table.c.method_id.in_(wanted)))
        return {row.method_id: rows.method_from(row) for row in found}

    async def lock_player_methods(self, player: str) -> list[Method]:
        """See the port."""
        await self._tx.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"methods {player}"}
        )
        table = tables.methods
        query = (
            select(table).where(table.c.player == player).order_by(table.c.registered_at, table.c.method_id)
        )
        return [rows.method_from(row) for row in await self._tx.execute(query)]

    async def shared_destinations(self, macs: Iterable[bytes]) -> dict[bytes, int]:
        """See the port."""
        found = await self._tx.execute(sql.SHARED, {"macs": list(macs)})
        return {bytes(row.destination_mac): row.players for row in found}

    async def save_methods(self, records: Sequence[MethodRecord], *, correlation_id: str) -> None:
        """See the port."""
        for record in records:
            await self._save_method(record)
        events = [
            method_event(
                record.method,
                change=record.event.change,
                correlation_id=correlation_id,
                outbox=self._outbox,
            )
            for record in records
        ]
        await self._outbox.add(self._tx, events)

    async def _save_method(self, record: MethodRecord) -> None:
        method, table = record.method, tables.methods
        standing = {
            "version": method.version,
            "state": method.state,
            "verified": method.verified,
            "is_default": method.is_default,
            "registered_by": method.registered_by,
            "changed_at": method.changed_at,
        }
        if record.is_new:
            await self._tx.execute(
                insert(table).values(
                    method_id=method.method_id,
                    player=method.player,
                    type=method.type,
                    rail_type=method.rail_type,
                    address=method.address,
                    memo=method.memo,
                    commitment=method.commitment,
                    details=method.sealed,
                    details_key=method.sealed_by,
                    destination_mac=method.destination_mac,
                    registered_at=method.registered_at,
                    **standing,
                )
            )
        else:
            await self._tx.execute(
                update(table).where(table.c.method_id == method.method_id).values(**standing)
            )
        await self._tx.execute(
            insert(tables.method_changes).values(
                method_id=method.method_id,
                version=method.version,
                change=record.event.change,
                actor=record.actor,
                at=method.changed_at,
            )
        )

    async def pauses(self) -> list[Pause]:
        """See the port."""
        table = tables.pauses
        query = (
            select(table)
            .where(table.c.resumed_at.is_(None))
            .order_by(table.c.paused_at.desc(), table.c.pause_id.desc())
        )
        return [rows.pause_from(row) for row in await self._tx.execute(query)]

    async def save_pause(self, pause: Pause) -> None:
        """See the port."""
        table = tables.pauses
        if pause.resumed_at is None:
            await self._tx.execute(
                insert(table).values(
                    pause_id=pause.pause_id,
                    scope=pause.scope,
                    value=pause.value,
                    reason=pause.reason,
                    paused_by=pause.paused_by,
                    paused_at=pause.paused_at,
                )
            )
            return
        await self._tx.execute(
            update(table)
            .where(table.c.pause_id == pause.pause_id)
            .values(resumed_by=pause.resumed_by, resumed_at=pause.resumed_at)
        )
        if self._on_due is not None:
            after_commit(self._tx, self._on_due)


def _count(changes: Sequence[Change]) -> None:
    for change in changes:
        for step in change.steps:
            PAYOUT_STEPS.labels(step.new).inc()
            if step.new is PayoutState.HELD:
                HOLDS.labels(step.code).inc()
        for attempt_step in change.attempt_steps:
            ATTEMPT_STEPS.labels(attempt_step.new).inc()


class PostgresTransactions:
    """`prizewire_payouts.payouts.ports.Transactions` over the service's database."""

    def __init__(
        self,
        *,
        db: Database,
        assets: AssetRegistry,
        outbox: Outbox,
        on_due: Callable[[], None] | None = None,
    ) -> None:
        self._db = db
        self._assets = assets
        self._outbox = outbox
        self._on_due = on_due

    def store(self, tx: AsyncConnection) -> PostgresStore:
        """The store over a transaction that somebody else began."""
        return PostgresStore(tx, assets=self._assets, outbox=self._outbox, on_due=self._on_due)

    async def run(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """See the port."""
        return await self._db.run(lambda tx: work(self.store(tx)))
