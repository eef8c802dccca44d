"""The projection of payout methods over PostgreSQL."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.payouts.domain.model import Method

_FIELDS: tuple[tuple[str, str], ...] = (
    ("id", "uuid"),
    ("version", "int"),
    ("player", "text"),
    ("type", "text"),
    ("rail_type", "text"),
    ("active", "boolean"),
    ("verified", "boolean"),
    ("is_default", "boolean"),
    ("address", "text"),
    ("memo", "text"),
    ("commitment", "text"),
)


class SqlMethods:
    """Methods in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def record(self, methods: Sequence[Method], *, now: datetime) -> None:
        """See the port."""
        ordered = sorted(methods, key=lambda method: method.id)
        columns = {f"{name}s": [getattr(method, name) for method in ordered] for name, _ in _FIELDS}
        await self._tx.execute(_RECORD, {"now": now, **columns})

    async def defaults(self, players: Iterable[str]) -> dict[str, Method]:
        """See the port. Of two default methods of a player, the one that changed last counts."""
        rows = await self._tx.execute(_DEFAULTS, {"players": sorted(set(players))})
        return {row.player: _method_of(row) for row in rows}

    async def get(self, method_id: UUID) -> Method | None:
        """See the port."""
        row = (await self._tx.execute(_GET, {"id": method_id})).one_or_none()
        return None if row is None else _method_of(row)


def _method_of(row: Any) -> Method:
    return Method(**{name: getattr(row, name) for name, _ in _FIELDS})


_NAMES = ", ".join(name for name, _ in _FIELDS)
_RECORD = text(
    f"INSERT INTO payout_methods AS m ({_NAMES}, changed_at) "  # noqa: S608 - our own columns
    "SELECT u.*, CAST(:now AS timestamptz) FROM unnest("
    + ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _FIELDS)
    + ") AS u ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name, _ in _FIELDS if name != "id")
    + ", changed_at = excluded.changed_at WHERE m.version < excluded.version"
)
_DEFAULTS = text(
    f"SELECT DISTINCT ON (player) {_NAMES} FROM payout_methods "  # noqa: S608 - our own columns
    "WHERE player = ANY (CAST(:players AS text[])) AND is_default AND active "
    "ORDER BY player, changed_at DESC, id"
)
_GET = text(f"SELECT {_NAMES} FROM payout_methods WHERE id = :id")  # noqa: S608 - our own columns
