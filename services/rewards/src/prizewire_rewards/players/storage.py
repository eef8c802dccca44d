"""Facts of players over PostgreSQL, in a table of their own, so that they can be erased."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.players.domain import KycState, PlayerFacts


class SqlPlayers:
    """Players' facts in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock(self, players: Iterable[str]) -> dict[str, PlayerFacts]:
        """The facts of these players, locked in the order of their names. A player without facts gets an empty row to lock."""
        names = sorted(set(players))
        await self._tx.execute(_OPEN, {"players": names})
        rows = await self._tx.execute(_LOCK, {"players": names})
        return {row.player: _facts_of(row) for row in rows}

    async def save(self, facts: Sequence[PlayerFacts], *, now: datetime) -> None:
        """Store facts of locked players."""
        columns = {f"{name}s": [getattr(one, name) for one in facts] for name, _ in _FIELDS}
        await self._tx.execute(_SAVE, {"now": now, **columns})

    async def get(self, player: str) -> PlayerFacts | None:
        """The facts of one player; None where there are none."""
        row = (await self._tx.execute(_GET, {"player": player})).one_or_none()
        return None if row is None else _facts_of(row)

    async def forget(self, player: str) -> bool:
        """Erase the facts of one player. Returns whether there were any."""
        return (await self._tx.execute(_FORGET, {"player": player})).one_or_none() is not None


def _facts_of(row: Any) -> PlayerFacts:
    values = {name: getattr(row, name) for name, _ in _FIELDS}
    if values["kyc_state"] is not None:
        values["kyc_state"] = KycState(values["kyc_state"])
    return PlayerFacts(**values)


_FIELDS: tuple[tuple[str, str], ...] = (
    ("player", "text"),
    ("registered_at", "timestamptz"),
    ("registered_at_told", "timestamptz"),
    ("kyc_state", "text"),
    ("kyc_state_told", "timestamptz"),
    ("device_hash", "text"),
    ("device_hash_told", "timestamptz"),
    ("address_hash", "text"),
    ("address_hash_told", "timestamptz"),
)
_NAMES = ", ".join(name for name, _ in _FIELDS)
_OPEN = text(
    "INSERT INTO players (player) SELECT u.player FROM unnest(CAST(:players AS text[])) WITH ORDINALITY "
    "AS u(player, n) ORDER BY u.n ON CONFLICT DO NOTHING"
)
_LOCK = text(
    f"SELECT {_NAMES} FROM players WHERE player = ANY (CAST(:players AS text[])) "  # noqa: S608 - our own columns
    'ORDER BY player COLLATE "C" FOR UPDATE'
)
_SAVE = text(
    "UPDATE players p SET "  # noqa: S608 - our own columns
    + ", ".join(f"{name} = u.{name}" for name, _ in _FIELDS if name != "player")
    + ", changed_at = CAST(:now AS timestamptz) FROM unnest("
    + ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _FIELDS)
    + f") AS u({_NAMES}) WHERE p.player = u.player"
)
_GET = text(f"SELECT {_NAMES} FROM players WHERE player = :player")  # noqa: S608 - our own columns
_FORGET = text("DELETE FROM players WHERE player = :player RETURNING player")
