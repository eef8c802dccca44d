"""Payout methods over PostgreSQL."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_payouts.methods.domain import Method, MethodChange, MethodState
from prizewire_payouts.methods.messages import method_event
from prizewire_payouts.unit_of_work import UnitOfWork

_COLUMNS = (
    "method_id, player, type, rail_type, version, state, verified, is_default, address, memo, commitment, details, "
    "details_key, destination_mac, registered_by, registered_at, changed_at"
)
_FIND = text(f"SELECT {_COLUMNS} FROM payout_methods WHERE method_id = ANY(CAST(:ids AS uuid[]))")  # noqa: S608 - column names of our own
_OF_PLAYER = text(
    f"SELECT {_COLUMNS} FROM payout_methods WHERE player = :player ORDER BY registered_at, method_id"  # noqa: S608 - column names of our own
)
_LOCK_PLAYER = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_INSERT = text(
    f"INSERT INTO payout_methods ({_COLUMNS}) VALUES (:method_id, :player, :type, :rail_type, :version, :state, "  # noqa: S608 - column names of our own
    ":verified, :is_default, :address, :memo, :commitment, :details, :details_key, :destination_mac, :registered_by, "
    ":registered_at, :changed_at)"
)
_UPDATE = text(
    "UPDATE payout_methods SET version = :version, state = :state, verified = :verified, is_default = :is_default, "
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

    async def players_of_destinations(self, macs: Iterable[bytes]) -> dict[bytes, int]:
        """How many players have an active method with each of these destinations."""
        found = await self._tx.execute(_PLAYERS_OF_DESTINATIONS, {"macs": list(macs)})
        return {bytes(row.destination_mac): row.players for row in found}

    async def _save(self, change: MethodChange) -> None:
        method = change.method
        values = {
            "method_id": method.method_id,
            "version": method.version,
            "state": method.state,
            "verified": method.verified,
            "is_default": method.is_default,
            "registered_by": method.registered_by,
            "changed_at": method.changed_at,
        }
        if change.is_new:
            fixed = {
                "player": method.player,
                "type": method.type,
                "rail_type": method.rail_type,
                "address": method.address,
                "memo": method.memo,
                "commitment": method.commitment,
                "details": method.sealed,
                "details_key": method.sealed_by,
                "destination_mac": method.destination_mac,
                "registered_at": method.registered_at,
            }
            await self._tx.execute(_INSERT, values | fixed)
        else:
            await self._tx.execute(_UPDATE, values)
        await self._tx.execute(
            _NOTE_CHANGE,
            {
                "method_id": method.method_id,
                "version": method.version,
                "change": change.change,
                "actor": change.actor,
                "at": method.changed_at,
            },
        )


def _method(row: Row[Any]) -> Method:
    """A method as stored."""
    return Method(
        method_id=row.method_id,
        player=row.player,
        type=row.type,
        rail_type=row.rail_type,
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
        registered_by=row.registered_by,
        registered_at=row.registered_at,
        changed_at=row.changed_at,
    )


async def _several_defaults(tx: AsyncConnection) -> list[str]:
    return [f"{row[0]} has two default methods" for row in await tx.execute(_SEVERAL_DEFAULTS)]


CHECKS = (Check("payout_methods_one_default", _several_defaults, count=rows_of("payout_methods")),)
"""A player has at most one default method."""
