"""Payout methods over PostgreSQL."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_chassis.db import after_commit
from prizewire_payouts.methods.domain import ERASED, Method, MethodChange, MethodState
from prizewire_payouts.methods.messages import method_event
from prizewire_payouts.metrics import METHODS
from prizewire_payouts.unit_of_work import UnitOfWork

_COLUMNS = (
    "method_id, player, type, rail_types, version, state, verified, is_default, address, memo, commitment, details, "
    "details_key, destination_mac, account_mac, registered_by, registered_at, usable_from, changed_at, payout_id"
)
# an inline method has the standing of the registered one with the same destination
_STANDING = {
    "verified": "m.verified OR coalesce(t.verified, false)",
    "registered_at": "least(m.registered_at, t.registered_at)",
    "usable_from": "least(m.usable_from, t.usable_from)",
}
_WITH_STANDING = ", ".join(
    f"{_STANDING[name]} AS {name}" if name in _STANDING else f"m.{name}" for name in _COLUMNS.split(", ")
)
_FIND = text(
    f"SELECT {_WITH_STANDING} FROM payout_methods m LEFT JOIN payout_methods t ON m.payout_id IS NOT NULL AND t.player = m.player "  # noqa: S608 - column names of our own
    "AND t.destination_mac = m.destination_mac AND t.state = 'active' AND t.payout_id IS NULL "
    "WHERE m.method_id = ANY(CAST(:ids AS uuid[]))"
)
_OF_PLAYER = text(
    f"SELECT {_COLUMNS} FROM payout_methods WHERE player = :player AND payout_id IS NULL "  # noqa: S608 - column names of our own
    "ORDER BY registered_at, method_id"
)
_SEALED_BY = text(
    f"SELECT {_COLUMNS} FROM payout_methods WHERE details_key = ANY(CAST(:keys AS text[])) "  # noqa: S608 - column names of our own
    "ORDER BY method_id LIMIT :limit FOR UPDATE SKIP LOCKED"
)
_UNMARKED = text(
    f"SELECT {_COLUMNS} FROM payout_methods WHERE account_mac IS NULL AND details_key <> 'erased' "  # noqa: S608 - column names of our own
    "ORDER BY method_id LIMIT :limit FOR UPDATE SKIP LOCKED"
)
ERASED_AT_ONCE = 100
_ERASE = text(
    "WITH due AS (SELECT m.method_id FROM payout_methods m WHERE (m.state = 'removed' OR m.payout_id IS NOT NULL) "
    "AND m.details_key <> :erased AND m.changed_at <= :before "
    "AND NOT EXISTS (SELECT 1 FROM payouts p WHERE p.method_id = m.method_id "
    "AND (p.state NOT IN ('paid', 'returned', 'rejected', 'failed', 'cancelled') "
    "OR m.payout_id IS NOT NULL AND p.changed_at > :before)) "
    "ORDER BY m.method_id LIMIT :limit FOR UPDATE OF m SKIP LOCKED) "
    "UPDATE payout_methods m SET details = CAST('' AS bytea), details_key = :erased FROM due "
    "WHERE m.method_id = due.method_id RETURNING m.method_id, m.player"
)
_LOCK_PLAYER = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_INSERT = text(
    f"INSERT INTO payout_methods ({_COLUMNS}) VALUES (:method_id, :player, :type, :rail_types, :version, :state, "  # noqa: S608 - column names of our own
    ":verified, :is_default, :address, :memo, :commitment, :details, :details_key, :destination_mac, :account_mac, :registered_by, "
    ":registered_at, :usable_from, :changed_at, :payout_id)"
)
_UPDATE = text(
    "UPDATE payout_methods SET version = :version, state = :state, rail_types = :rail_types, verified = :verified, is_default = :is_default, "
    "registered_by = :registered_by, changed_at = :changed_at WHERE method_id = :method_id"
)
_NOTE_CHANGE = text(
    "INSERT INTO payout_method_changes (method_id, version, change, actor, at) "
    "VALUES (:method_id, :version, :change, :actor, :at)"
)
_PLAYERS_OF_DESTINATIONS = text(
    "SELECT destination_mac, count(DISTINCT player) AS players FROM payout_methods "
    "WHERE state = 'active' AND destination_mac = ANY(CAST(:macs AS bytea[])) GROUP BY destination_mac"
)
_MISROUTED = text(
    "SELECT DISTINCT m.player FROM payout_methods m "
    "LEFT JOIN unnest(CAST(:types AS text[]), CAST(:served AS text[])) AS u(type, rail_types) USING (type) "
    "WHERE m.state = 'active' AND m.payout_id IS NULL AND array_to_string(m.rail_types, ',') <> coalesce(u.rail_types, '') "
    "ORDER BY m.player LIMIT :limit"
)
_SEVERAL_DEFAULTS = text(
    "SELECT player FROM payout_methods WHERE is_default GROUP BY player HAVING count(*) > 1 LIMIT 100"
)


class MethodStorage:
    """`prizewire_payouts.methods.ports.Methods` over PostgreSQL."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._unit_of_work = unit_of_work
        self._tx = unit_of_work.tx

    async def find(self, ids: Iterable[UUID]) -> dict[UUID, Method]:
        """See the port."""
        wanted = list(ids)
        if not wanted:
            return {}
        return {row.method_id: _method(row) for row in await self._tx.execute(_FIND, {"ids": wanted})}

    async def lock_player(self, player: str) -> list[Method]:
        """See the port."""
        await self._tx.execute(_LOCK_PLAYER, {"name": f"methods {player}"})
        return await self.of_player(player)

    async def of_player(self, player: str) -> list[Method]:
        """See the port."""
        return [_method(row) for row in await self._tx.execute(_OF_PLAYER, {"player": player})]

    async def misrouted(self, served: Mapping[str, tuple[str, ...]], *, limit: int) -> list[str]:
        """See the port."""
        types = sorted(served)
        wanted = {"types": types, "served": [",".join(served[one]) for one in types], "limit": limit}
        return [row.player for row in await self._tx.execute(_MISROUTED, wanted)]

    async def save(self, changes: Sequence[MethodChange], *, correlation_id: str) -> None:
        """See the port."""
        for change in changes:
            await self._save(change)
        outbox = self._unit_of_work.outbox
        await outbox.add(
            self._tx,
            [
                method_event(one.method, change=one.change, correlation_id=correlation_id, outbox=outbox)
                for one in changes
            ],
        )

    async def add_inline(self, methods: Sequence[Method]) -> None:
        """See the port."""
        if methods:
            await self._tx.execute(_INSERT, [_new(one) for one in methods])
            changes = [
                MethodChange(method=one, change="registered", actor=one.registered_by) for one in methods
            ]
            await self._tx.execute(_NOTE_CHANGE, [_noted(one) for one in changes])
            after_commit(self._tx, lambda: METHODS.labels("inline").inc(len(methods)))

    async def players_of_destinations(self, macs: Iterable[bytes]) -> dict[bytes, int]:
        """How many players have an active method with each of these destinations."""
        found = await self._tx.execute(_PLAYERS_OF_DESTINATIONS, {"macs": list(macs)})
        return {bytes(row.destination_mac): row.players for row in found}

    async def _save(self, change: MethodChange) -> None:
        if change.is_new:
            await self._tx.execute(_INSERT, _new(change.method))
        else:
            await self._tx.execute(_UPDATE, _changing(change.method))
        await self._tx.execute(_NOTE_CHANGE, _noted(change))


def _changing(method: Method) -> dict[str, Any]:
    return {
        "method_id": method.method_id,
        "version": method.version,
        "state": method.state,
        "rail_types": list(method.rail_types),
        "verified": method.verified,
        "is_default": method.is_default,
        "registered_by": method.registered_by,
        "changed_at": method.changed_at,
    }


def _new(method: Method) -> dict[str, Any]:
    return _changing(method) | {
        "player": method.player,
        "payout_id": method.payout_id,
        "type": method.type,
        "address": method.address,
        "memo": method.memo,
        "commitment": method.commitment,
        "details": method.sealed,
        "details_key": method.sealed_by,
        "destination_mac": method.destination_mac,
        "account_mac": method.account_mac,
        "registered_at": method.registered_at,
        "usable_from": method.usable_from,
    }


def _noted(change: MethodChange) -> dict[str, Any]:
    return {
        "method_id": change.method.method_id,
        "version": change.method.version,
        "change": change.change,
        "actor": change.actor,
        "at": change.method.changed_at,
    }


async def erase_details(
    tx: AsyncConnection, *, before: datetime, limit: int
) -> list[tuple[UUID, str | None]]:
    """Erase the details of up to ``limit`` methods that were removed at this time or before, and that no open payout names; and of
    inline methods whose payouts ended so long ago. Returns each method's id and player.
    """
    found = await tx.execute(_ERASE, {"erased": ERASED, "before": before, "limit": limit})
    return [(row.method_id, row.player) for row in found]


async def unmarked_methods(tx: AsyncConnection, *, limit: int) -> list[Method]:
    """Up to ``limit`` methods whose account is not marked, locked; rows that others have locked are skipped."""
    return [_method(row) for row in await tx.execute(_UNMARKED, {"limit": limit})]


async def read_methods(tx: AsyncConnection, *, sealed_by: Sequence[str], limit: int) -> list[Method]:
    """Up to ``limit`` methods whose details one of these keys encrypted, locked; rows that others have locked are skipped."""
    found = await tx.execute(_SEALED_BY, {"keys": list(sealed_by), "limit": limit})
    return [_method(row) for row in found]


def _method(row: Row[Any]) -> Method:
    """A method as stored."""
    return Method(
        method_id=row.method_id,
        player=row.player,
        type=row.type,
        rail_types=tuple(row.rail_types),
        version=row.version,
        state=MethodState(row.state),
        verified=row.verified,
        is_default=row.is_default,
        address=row.address,
        memo=row.memo,
        commitment=row.commitment,
        sealed=bytes(row.details),
        sealed_by=row.details_key,
        destination_mac=bytes(row.destination_mac),
        account_mac=None if row.account_mac is None else bytes(row.account_mac),
        registered_by=row.registered_by,
        registered_at=row.registered_at,
        usable_from=row.usable_from,
        changed_at=row.changed_at,
        payout_id=row.payout_id,
    )


async def _several_defaults(tx: AsyncConnection) -> list[str]:
    return [f"{row[0]} has two default methods" for row in await tx.execute(_SEVERAL_DEFAULTS)]


CHECKS = (Check("payout_methods_one_default", _several_defaults, count=rows_of("payout_methods")),)
"""A player has at most one default method."""
