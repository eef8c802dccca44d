"""Facts of players over PostgreSQL, in a table of their own, so that they can be erased."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from prizewire_payouts.players.domain import KycState, PlayerFacts, TaxState
from prizewire_payouts.unit_of_work import UnitOfWork

_FIELDS = {
    "player": "text",
    "kyc_state": "text",
    "kyc_expires_at": "timestamptz",
    "kyc_reported_at": "timestamptz",
    "tax_state": "text",
    "tax_reported_at": "timestamptz",
}
_NAMES = ", ".join(_FIELDS)
_FIND = text(f"SELECT {_NAMES} FROM players WHERE player = ANY(CAST(:players AS text[]))")  # noqa: S608 - column names of our own
_OPEN = text(
    "INSERT INTO players (player) SELECT u.player FROM unnest(CAST(:players AS text[])) WITH ORDINALITY "
    "AS u(player, n) ORDER BY u.n ON CONFLICT DO NOTHING"
)
_LOCK = text(
    f"SELECT {_NAMES} FROM players WHERE player = ANY(CAST(:players AS text[])) "  # noqa: S608 - column names of our own
    'ORDER BY player COLLATE "C" FOR UPDATE'
)
_SAVE = text(
    "UPDATE players p SET "  # noqa: S608 - column names of our own
    + ", ".join(f"{name} = u.{name}" for name in _FIELDS if name != "player")
    + ", changed_at = CAST(:now AS timestamptz) FROM unnest("
    + ", ".join(f"CAST(:{name}s AS {kind}[])" for name, kind in _FIELDS.items())
    + f") AS u({_NAMES}) WHERE p.player = u.player"
)


class PlayerStorage:
    """`prizewire_payouts.players.ports.Players` over PostgreSQL."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._tx = unit_of_work.tx

    async def find(self, players: Iterable[str]) -> Mapping[str, PlayerFacts]:
        """See the port."""
        names = sorted(set(players))
        if not names:
            return {}
        return {row.player: _facts(row) for row in await self._tx.execute(_FIND, {"players": names})}

    async def lock(self, players: Iterable[str]) -> dict[str, PlayerFacts]:
        """See the port."""
        names = {"players": sorted(set(players))}
        await self._tx.execute(_OPEN, names)
        return {row.player: _facts(row) for row in await self._tx.execute(_LOCK, names)}

    async def save(self, facts: Collection[PlayerFacts], *, now: datetime) -> None:
        """See the port."""
        columns = {f"{name}s": [getattr(one, name) for one in facts] for name in _FIELDS}
        await self._tx.execute(_SAVE, {"now": now, **columns})


def _facts(row: Row[Any]) -> PlayerFacts:
    return PlayerFacts(
        player=row.player,
        kyc_state=None if row.kyc_state is None else KycState(row.kyc_state),
        kyc_expires_at=row.kyc_expires_at,
        kyc_reported_at=row.kyc_reported_at,
        tax_state=None if row.tax_state is None else TaxState(row.tax_state),
        tax_reported_at=row.tax_reported_at,
    )
