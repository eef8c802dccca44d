"""Counts of caps over PostgreSQL. They are stored as absolute values: the caller has locked the campaigns."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.campaigns.domain.caps import CapCode, CapKey, CapLine


class SqlCaps:
    """Counts in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock(self, keys: Iterable[CapKey]) -> dict[CapKey, int]:
        """The counts above zero (minor units), locked in the order of the keys."""
        ordered = sorted(set(keys), key=_order)
        rows = await self._tx.execute(_LOCK, _columns(ordered))
        return {CapKey(row.campaign, CapCode(row.cap), row.player, _day(row.day)): row.used for row in rows}

    async def lines(self, reward_ids: Iterable[UUID]) -> dict[UUID, CapLine]:
        """Those of these prizes that count towards caps."""
        rows = await self._tx.execute(_LINES, {"ids": sorted(set(reward_ids))})
        return {
            row.reward_id: CapLine(row.reward_id, row.campaign, row.player, row.day, row.amount)
            for row in rows
        }

    async def save(self, used: Mapping[CapKey, int], lines: Sequence[CapLine]) -> None:
        """Store counts and lines."""
        ordered = sorted(used, key=_order)
        if ordered:
            await self._tx.execute(_SAVE, {**_columns(ordered), "used": [used[key] for key in ordered]})
        kept = [line for line in lines if line.amount > 0]
        if kept:
            await self._tx.execute(
                _SAVE_LINES,
                {
                    "ids": [line.reward_id for line in kept],
                    "campaigns": [line.campaign for line in kept],
                    "players": [line.player for line in kept],
                    "days": [line.day for line in kept],
                    "amounts": [line.amount for line in kept],
                },
            )
        gone = [line.reward_id for line in lines if line.amount == 0]
        if gone:
            await self._tx.execute(_FORGET, {"ids": gone})

    async def begin(self, campaign: UUID) -> None:
        """Count what the campaign has granted so far, by the days on which its rounds were settled."""
        await self._tx.execute(_BEGIN_LINES, {"campaign": campaign})
        await self._tx.execute(_BEGIN, {"campaign": campaign})


def _order(key: CapKey) -> tuple[UUID, str, str, str]:
    return key.campaign, key.cap, key.player, _text(key.day)


def _columns(keys: Sequence[CapKey]) -> dict[str, list[UUID] | list[str]]:
    return {
        "campaigns": [key.campaign for key in keys],
        "caps": [str(key.cap) for key in keys],
        "players": [key.player for key in keys],
        "days": [_text(key.day) for key in keys],
    }


def _text(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _day(value: str) -> date | None:
    return date.fromisoformat(value) if value else None


_KEYS = "CAST(:campaigns AS uuid[]), CAST(:caps AS text[]), CAST(:players AS text[]), CAST(:days AS text[])"
_LOCK = text(
    f"SELECT u.* FROM cap_usage u JOIN unnest({_KEYS}) AS k(campaign, cap, player, day) "  # noqa: S608 - our own columns
    "ON u.campaign = k.campaign AND u.cap = k.cap AND u.player = k.player AND u.day = k.day "
    "ORDER BY u.campaign, u.cap, u.player, u.day FOR UPDATE OF u"
)
_LINES = text("SELECT * FROM cap_lines WHERE reward_id = ANY (CAST(:ids AS uuid[]))")
_SAVE = text(
    "INSERT INTO cap_usage (campaign, cap, player, day, used) "  # noqa: S608 - our own columns
    f"SELECT u.* FROM unnest({_KEYS}, CAST(:used AS bigint[])) AS u "
    "ON CONFLICT (campaign, cap, player, day) DO UPDATE SET used = excluded.used"
)
_SAVE_LINES = text(
    "INSERT INTO cap_lines (reward_id, campaign, player, day, amount) "
    "SELECT u.* FROM unnest(CAST(:ids AS uuid[]), CAST(:campaigns AS uuid[]), CAST(:players AS text[]), "
    "CAST(:days AS date[]), CAST(:amounts AS bigint[])) AS u "
    "ON CONFLICT (reward_id) DO UPDATE SET amount = excluded.amount"
)
_FORGET = text("DELETE FROM cap_lines WHERE reward_id = ANY (CAST(:ids AS uuid[]))")
_BEGIN_LINES = text(
    "INSERT INTO cap_lines (reward_id, campaign, player, day, amount) "
    "SELECT w.id, r.campaign, w.player, CAST(r.settled_at AT TIME ZONE 'UTC' AS date), w.amount "
    "FROM rounds r JOIN rewards w ON w.round_id = r.id WHERE r.campaign = :campaign "
    "AND w.state IN ('unfunded', 'pending', 'claimable', 'credited')"
)
_BEGIN = text(
    "INSERT INTO cap_usage (campaign, cap, player, day, used) "
    "SELECT l.campaign, k.cap, k.player, k.day, sum(l.amount) FROM cap_lines l CROSS JOIN LATERAL (VALUES "
    "('cap_player', l.player, ''), ('cap_player_day', l.player, CAST(l.day AS text)), "
    "('cap_campaign_day', '', CAST(l.day AS text)), ('cap_campaign', '', '')) AS k(cap, player, day) "
    "WHERE l.campaign = :campaign GROUP BY l.campaign, k.cap, k.player, k.day"
)
