"""Top-ups and their reversals over PostgreSQL."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.topups.domain import Reversal, ReversalKind, Topup


class SqlTopups:
    """Top-ups in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Topup]:
        """The top-ups with these ids that exist, locked in the order of their ids."""
        rows = await self._tx.execute(_LOCK, {"ids": sorted(set(ids))})
        return {row.id: Topup(**{name: getattr(row, name) for name, _ in _TOPUP}) for row in rows}

    async def save(self, topups: Sequence[Topup], *, now: datetime) -> None:
        """Store new and locked top-ups."""
        ordered = sorted(topups, key=lambda topup: topup.id)
        values = {name + "s": [getattr(topup, name) for topup in ordered] for name, _ in _TOPUP}
        await self._tx.execute(_SAVE, {"now": now, **values})

    async def reversals(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Reversal]:
        """The reversals with these (rail, provider's id) that exist."""
        wanted = sorted(set(keys))
        rows = await self._tx.execute(
            _REVERSALS, {"rails": [rail for rail, _ in wanted], "references": [ref for _, ref in wanted]}
        )
        return {(row.rail, row.reference): _reversal_of(row) for row in rows}

    async def save_reversals(self, reversals: Sequence[Reversal], *, now: datetime) -> None:
        """Store new and changed reversals."""
        ordered = sorted(reversals, key=lambda reversal: (reversal.rail, reversal.reference))
        values = {name + "s": [getattr(reversal, name) for reversal in ordered] for name, _ in _REVERSAL}
        await self._tx.execute(_SAVE_REVERSALS, {"now": now, **values})


def _reversal_of(row: Any) -> Reversal:
    values = {name: getattr(row, name) for name, _ in _REVERSAL}
    return Reversal(**{**values, "kind": ReversalKind(row.kind)})


_TOPUP: tuple[tuple[str, str], ...] = (
    ("id", "uuid"),
    ("player", "text"),
    ("asset", "text"),
    ("credited", "bigint"),
    ("reversed", "bigint"),
    ("rail", "text"),
    ("reference", "text"),
    ("correlation_id", "text"),
    ("version", "int"),
)
_REVERSAL: tuple[tuple[str, str], ...] = (
    ("rail", "text"),
    ("reference", "text"),
    ("topup_id", "uuid"),
    ("kind", "text"),
    ("asked", "bigint"),
    ("taken", "bigint"),
    ("owed", "bigint"),
    ("receivable_id", "uuid"),
    ("restored", "bigint"),
    ("lifted", "bigint"),
    ("won", "boolean"),
)
_LOCK = text("SELECT * FROM topups WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
_SAVE = text(
    f"INSERT INTO topups AS t ({', '.join(name for name, _ in _TOPUP)}, credited_at, changed_at) "  # noqa: S608 - our own columns
    "SELECT u.*, CAST(:now AS timestamptz), CAST(:now AS timestamptz) FROM unnest("
    + ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _TOPUP)
    + ") AS u ON CONFLICT (id) DO UPDATE SET reversed = excluded.reversed, version = excluded.version, "
    "changed_at = excluded.changed_at"
)
_REVERSALS = text(
    "SELECT r.* FROM topup_reversals r JOIN unnest(CAST(:rails AS text[]), CAST(:references AS text[])) "
    "AS u(rail, reference) ON r.rail = u.rail AND r.reference = u.reference"
)
_SAVE_REVERSALS = text(
    f"INSERT INTO topup_reversals AS r ({', '.join(name for name, _ in _REVERSAL)}, reversed_at, changed_at) "  # noqa: S608 - our own columns
    "SELECT u.*, CAST(:now AS timestamptz), CAST(:now AS timestamptz) FROM unnest("
    + ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _REVERSAL)
    + ") AS u ON CONFLICT (rail, reference) DO UPDATE SET restored = excluded.restored, lifted = excluded.lifted, won = excluded.won, "
    "changed_at = excluded.changed_at"
)
