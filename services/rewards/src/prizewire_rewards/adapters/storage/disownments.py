"""Disownments of rounds over PostgreSQL."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Read, fetch
from prizewire_rewards.domain.disownments import Concern, Disownment, DisownmentState

__all__ = ["SqlDisownments", "disownment", "disownments"]


class SqlDisownments:
    """Disownments in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def add(self, disownment: Disownment) -> bool:
        """Store a new one; False where another one of the round is filed or approved."""
        added = await self._tx.execute(_ADD, {name: getattr(disownment, name) for name in _NAMES})
        return added.one_or_none() is not None

    async def lock(self, identifier: UUID) -> Disownment | None:
        """One, locked."""
        row = (await self._tx.execute(_LOCK, {"id": identifier})).one_or_none()
        return None if row is None else _disownment(row)

    async def decide(self, disownment: Disownment) -> None:
        """Store what became of a locked one."""
        await self._tx.execute(_DECIDE, {name: getattr(disownment, name) for name in ("id", *_DECIDED)})

    async def concern(self, round_id: UUID, *, subject: str) -> Concern | None:
        """Why a person may not decide about a round; None where nothing is known."""
        found = (await self._tx.execute(_CONCERN, {"id": round_id, "subject": subject})).one()
        return next((why for why, yes in zip(Concern, found, strict=True) if yes), None)

    async def knows(self, round_id: UUID) -> bool:
        """Whether anything is known of a round that was never booked."""
        return bool((await self._tx.execute(_KNOWS, {"id": round_id})).scalar_one())

    async def stop_births(self) -> None:
        """Wait until no other transaction books new rounds; the trigger of ``rounds`` takes the shared lock."""
        await self._tx.execute(_STOP_BIRTHS)

    async def disowned(self, rounds: Iterable[UUID]) -> frozenset[UUID]:
        """Those of these rounds that were disowned."""
        rows = await fetch(self._tx, _DISOWNED, {"ids": sorted(set(rounds))})
        return frozenset(row.round_id for row in rows)


async def disownments(
    tx: AsyncConnection,
    *,
    state: DisownmentState | None,
    limit: int,
    before: tuple[datetime, UUID] | None,
) -> list[Disownment]:
    """Disownments, newest first, those before a (time, id)."""
    at, identifier = before or (None, None)
    rows = await tx.execute(_PAGE, {"state": state, "at": at, "id": identifier, "limit": limit})
    return [_disownment(row) for row in rows]


async def disownment(tx: AsyncConnection, identifier: UUID) -> Disownment | None:
    """One."""
    row = (await tx.execute(_ONE, {"id": identifier})).one_or_none()
    return None if row is None else _disownment(row)


def _disownment(row: Any) -> Disownment:
    values = {name: getattr(row, name) for name in _NAMES}
    return Disownment(**{**values, "state": DisownmentState(row.state)})


_DECIDED = ("state", "decided_by", "decided_at", "decision")
_NAMES = ("id", "round_id", "reason", "filed_by", "filed_at", *_DECIDED)
_ADD = text(
    f"INSERT INTO round_disownments ({', '.join(_NAMES)}) VALUES ({', '.join(':' + name for name in _NAMES)}) "  # noqa: S608 - our own columns
    "ON CONFLICT (round_id) WHERE state <> 'rejected' DO NOTHING RETURNING id"
)
_ONE = text("SELECT * FROM round_disownments WHERE id = :id")
_LOCK = text("SELECT * FROM round_disownments WHERE id = :id FOR UPDATE")
_DECIDE = text(
    f"UPDATE round_disownments SET {', '.join(f'{name} = :{name}' for name in _DECIDED)} WHERE id = :id"  # noqa: S608 - our own columns
)
_PAGE = text(
    "SELECT * FROM round_disownments WHERE (CAST(:state AS text) IS NULL OR state = :state) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (filed_at, id) < (:at, CAST(:id AS uuid))) "
    "ORDER BY filed_at DESC, id DESC LIMIT :limit"
)
_DISOWNED = Read(
    "SELECT round_id FROM round_disownments WHERE round_id = ANY (CAST(:ids AS uuid[])) AND state = 'approved'"
)
_STOP_BIRTHS = text("SELECT pg_advisory_xact_lock(hashtext('prizewire.round_births'))")
# In the order of ``Concern``.
_CONCERN = text(
    "SELECT EXISTS (SELECT 1 FROM rewards WHERE round_id = :id AND player = :subject), "
    "EXISTS (SELECT 1 FROM rounds WHERE id = :id AND organizer_player = :subject), "
    "EXISTS (SELECT 1 FROM entries WHERE round_id = :id AND player = :subject AND state <> 'refused'), "
    "EXISTS (SELECT 1 FROM rounds r CROSS JOIN LATERAL jsonb_array_elements(r.parties) p "
    "WHERE r.id = :id AND p ->> 1 = :subject) "
    "OR EXISTS (SELECT 1 FROM rounds r JOIN source_parties s ON s.source = 'campaign/' || r.campaign "
    "WHERE r.id = :id AND s.subject = :subject)"
)
_KNOWS = text(
    "SELECT EXISTS (SELECT 1 FROM entry_rounds WHERE id = :id) "
    "OR EXISTS (SELECT 1 FROM staged_parts WHERE round_id = :id) "
    "OR EXISTS (SELECT 1 FROM round_refusals WHERE round_id = :id) "
    "OR EXISTS (SELECT 1 FROM stuck_events WHERE subject = CAST(CAST(:id AS uuid) AS text))"
)
