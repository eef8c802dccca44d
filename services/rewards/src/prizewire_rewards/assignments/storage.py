"""Payee assignments over PostgreSQL."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.assignments.domain import AssignmentState, PayeeAssignment


class SqlAssignments:
    """Payee assignments in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def in_force(self, players: Iterable[str], *, now: datetime) -> dict[str, PayeeAssignment]:
        """See the port."""
        names = sorted(set(players))
        if not names:
            return {}
        await self._tx.execute(_SHARE, {"persons": names})
        # A separate statement, so that it sees what the last holder of the lock committed.
        rows = await self._tx.execute(_IN_FORCE, {"players": names, "now": now})
        return {row.player: _assignment(row) for row in rows}

    async def get(self, identifier: UUID) -> PayeeAssignment | None:
        """See the port."""
        return await payee_assignment(self._tx, identifier)

    async def lock_persons(self, persons: Iterable[str]) -> None:
        """See the port."""
        await self._tx.execute(_LOCK, {"persons": sorted(set(persons))})

    async def open_of(self, player: str) -> list[PayeeAssignment]:
        """See the port."""
        return [_assignment(row) for row in await self._tx.execute(_OPEN, {"player": player})]

    async def chained(self, *, player: str, payee: str, now: datetime) -> PayeeAssignment | None:
        """See the port."""
        values = {"player": player, "payee": payee, "now": now}
        row = (await self._tx.execute(_CHAINED, values)).one_or_none()
        return None if row is None else _assignment(row)

    async def last_request(self, player: str) -> datetime | None:
        """See the port."""
        found: datetime | None = (await self._tx.execute(_LAST_REQUEST, {"player": player})).scalar_one()
        return found

    async def add(self, assignment: PayeeAssignment) -> None:
        """See the port."""
        await self._tx.execute(_ADD, {name: getattr(assignment, name) for name in _NAMES})

    async def save(self, assignment: PayeeAssignment) -> None:
        """See the port."""
        await self._tx.execute(_SAVE, {name: getattr(assignment, name) for name in ("id", *_DECIDED)})


async def payee_assignments(
    tx: AsyncConnection,
    *,
    player: str | None,
    payee: str | None,
    limit: int,
    before: tuple[datetime, UUID] | None,
) -> list[PayeeAssignment]:
    """Assignments, newest first, those before a (time, id)."""
    at, identifier = before or (None, None)
    values = {"player": player, "payee": payee, "at": at, "id": identifier, "limit": limit}
    return [_assignment(row) for row in await tx.execute(_PAGE, values)]


async def payee_assignment(tx: AsyncConnection, identifier: UUID) -> PayeeAssignment | None:
    """One assignment; None where it does not exist."""
    row = (await tx.execute(_ONE, {"id": identifier})).one_or_none()
    return None if row is None else _assignment(row)


def _assignment(row: Any) -> PayeeAssignment:
    values = {name: getattr(row, name) for name in _NAMES}
    return PayeeAssignment(**{**values, "state": AssignmentState(row.state)})


_DECIDED = ("state", "confirmed_by", "in_force_from", "ended_by", "ended_at", "end_reason")
_NAMES = ("id", "player", "payee", "reason", "until", "proposed_by", "proposed_at", *_DECIDED)
_KEY = "hashtextextended('prizewire.payee_assignment:' || u.person, 0)"
_PERSONS = (
    'FROM (SELECT person FROM unnest(CAST(:persons AS text[])) AS p(person) ORDER BY person COLLATE "C") u'
)
_SHARE = text(f"SELECT pg_advisory_xact_lock_shared({_KEY}) {_PERSONS}")
_LOCK = text(f"SELECT pg_advisory_xact_lock({_KEY}) {_PERSONS}")
IN_FORCE = "a.in_force_from <= {at} AND (a.ended_at IS NULL OR a.ended_at > {at}) AND (a.until IS NULL OR a.until > {at})"
"""The condition by which an assignment ``a`` is in force at the moment ``at``."""
_NOW = IN_FORCE.format(at="CAST(:now AS timestamptz)")
_IN_FORCE = text(
    f"SELECT a.* FROM payee_assignments a WHERE a.player = ANY (CAST(:players AS text[])) AND {_NOW}"  # noqa: S608 - constants
)
_ONE = text("SELECT * FROM payee_assignments WHERE id = :id")
_OPEN = text(
    "SELECT * FROM payee_assignments WHERE player = :player AND state IN ('proposed', 'in_force') ORDER BY proposed_at"
)
_CHAINED = text(
    f"SELECT a.* FROM payee_assignments a WHERE a.player = :payee AND {_NOW} UNION ALL "  # noqa: S608 - constants
    f"SELECT a.* FROM payee_assignments a WHERE a.payee = :player AND {_NOW} LIMIT 1"
)
_LAST_REQUEST = text("SELECT max(requested_at) FROM payouts WHERE player = :player")
_ADD = text(
    f"INSERT INTO payee_assignments ({', '.join(_NAMES)}) VALUES ({', '.join(':' + name for name in _NAMES)})"  # noqa: S608 - our own columns
)
_SAVE = text(
    f"UPDATE payee_assignments SET {', '.join(f'{name} = :{name}' for name in _DECIDED)} WHERE id = :id"  # noqa: S608 - our own columns
)
_PAGE = text(
    "SELECT * FROM payee_assignments WHERE (CAST(:player AS text) IS NULL OR player = :player) "
    "AND (CAST(:payee AS text) IS NULL OR payee = :payee) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (proposed_at, id) < (:at, CAST(:id AS uuid))) "
    "ORDER BY proposed_at DESC, id DESC LIMIT :limit"
)
