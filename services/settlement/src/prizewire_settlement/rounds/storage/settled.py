"""Rounds with the figures of their newest settlements, and the digests of their lines."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_money import Asset
from prizewire_settlement.prizes.domain import Line
from prizewire_settlement.rounds.messages import render_lines
from prizewire_settlement.rounds.ports import SettledRound
from prizewire_settlement.rounds.storage.rows import ROUND_COLUMNS, line_of, round_of


async def settled_rounds(
    tx: AsyncConnection, ids: Sequence[UUID], *, asset_of: Callable[[str], Asset]
) -> list[SettledRound]:
    """Those of the rounds that were settled, by id. The lines are streamed: those of one round are in memory at a time."""
    rows = (await tx.execute(_SETTLED, {"ids": sorted(ids)})).all()
    assets = {row.id: asset_of(row.settled_asset) for row in rows}
    digests = await _digests(tx, assets)
    return [
        SettledRound(
            round=round_of(row),
            campaign=row.settled_campaign,
            asset=assets[row.id],
            gross=row.settled_gross,
            platform_fee=row.settled_platform_fee,
            organizer_fee=row.settled_organizer_fee,
            organizer_player=row.settled_organizer_player,
            unclaimed=row.settled_unclaimed,
            digest=digests[row.id],
            lowered=int(row.lowered),
        )
        for row in rows
    ]


async def _digests(tx: AsyncConnection, assets: dict[UUID, Asset]) -> dict[UUID, str]:
    """The digest of the newest lines of each round; that of no lines for one without."""
    found: dict[UUID, str] = {}
    at: UUID | None = None
    lines: list[Line] = []

    async def close() -> None:
        if at is not None:
            rendered = await asyncio.to_thread(render_lines, lines, asset=assets[at])
            found[at] = rendered.digest

    async for row in await tx.stream(_LINES, {"ids": list(assets)}):
        if row.round_id != at:
            await close()
            at, lines = row.round_id, []
        lines.append(line_of(row))
    await close()
    without = {key: render_lines((), asset=asset).digest for key, asset in assets.items() if key not in found}
    return {**found, **without}


# The SQL below is put together from literals of this package; every value is bound.
# The next version of a player's line is compared with it; a line without a next version was removed.
_LOWERED = (
    "(SELECT coalesce(sum(CASE x.later WHEN x.version + 1 THEN greatest(x.amount - x.next_amount, 0) ELSE x.amount END), 0) FROM ("
    "SELECT version, amount, lead(version) OVER w AS later, lead(amount) OVER w AS next_amount FROM settlement_lines "
    "WHERE round_id = d.id WINDOW w AS (PARTITION BY player ORDER BY version)) x WHERE x.version < d.settlement_version)"
)
_SETTLED = text(
    f"SELECT {', '.join(f'd.{name}' for name in ROUND_COLUMNS.split(', '))}, "  # noqa: S608 - see above
    "s.campaign AS settled_campaign, s.asset AS settled_asset, s.gross AS settled_gross, "
    "s.platform_fee AS settled_platform_fee, s.organizer_fee AS settled_organizer_fee, "
    "s.organizer_player AS settled_organizer_player, s.unclaimed AS settled_unclaimed, "
    f"CASE WHEN d.settlement_version > 1 THEN {_LOWERED} ELSE 0 END AS lowered "
    "FROM rounds d JOIN settlements s ON s.round_id = d.id AND s.version = d.settlement_version "
    "WHERE d.id = ANY(CAST(:ids AS uuid[])) ORDER BY d.id"
)
_LINES = text(
    "SELECT l.round_id, l.line, l.player, l.place, l.amount FROM settlement_lines l "
    "JOIN rounds d ON d.id = l.round_id AND d.settlement_version = l.version "
    "WHERE l.round_id = ANY(CAST(:ids AS uuid[])) ORDER BY l.round_id, l.line"
)
