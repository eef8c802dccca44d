"""The limits of a UTC day: how much of each is used, by scope and asset, in minor units.

``day`` counts all that is signed. ``again`` counts what was signed before on another slot and is signed again, or is closed
without being paid: both rest on payouts' report alone.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

SCOPE_AGAIN = "again"
SCOPE_DAY = "day"


def day_of(now: datetime) -> date:
    """The UTC day on which a limit is counted."""
    return now.astimezone(UTC).date()


async def use_of(
    tx: AsyncConnection, scopes: Sequence[str], assets: Sequence[str], *, day: date
) -> Mapping[tuple[str, str], int]:
    """What is used by scope and asset, locked until the transaction ends; a limit that was not used is left out.

    It is at least the sum of what was counted: a count that was written into the database without a use takes its room too.
    """
    values = {"scopes": list(scopes), "assets": list(assets), "day": day}
    used = {(row.scope, row.asset): int(row.used_minor) for row in await tx.execute(_USE, values)}
    for row in await tx.execute(_COUNTED, values):
        key = (row.scope, row.asset)
        used[key] = max(used.get(key, 0), int(row.counted))
    return used


async def begin_use(tx: AsyncConnection, scope: str, ceilings: Mapping[str, int], *, day: date) -> None:
    """Store rows of which nothing is used, so that they can be locked; existing ones are not changed."""
    await reserve(tx, scope, dict.fromkeys(ceilings, 0), ceilings, day=day)


async def reserve(
    tx: AsyncConnection, scope: str, used: Mapping[str, int], ceilings: Mapping[str, int], *, day: date
) -> int:
    """Add to what is used; returns for how many assets that stayed below the ceiling. The others are not changed."""
    assets = sorted(used)
    if not assets:
        return 0
    result = await tx.execute(
        _RESERVE,
        {
            "scope": scope,
            "day": day,
            "assets": assets,
            "amounts": [used[code] for code in assets],
            "ceilings": [ceilings[code] for code in assets],
        },
    )
    return len(result.all())


async def add_use(tx: AsyncConnection, scope: str, used: Mapping[str, int], *, day: date) -> None:
    """Add to rows that this transaction has locked; the database refuses a use above the ceiling."""
    if used:
        assets = sorted(used)
        await tx.execute(
            _ADD,
            {"scope": scope, "day": day, "assets": assets, "amounts": [used[code] for code in assets]},
        )


_USE = text(
    "SELECT scope, asset, used_minor FROM limit_use WHERE scope = ANY(CAST(:scopes AS text[])) AND key = '' "
    "AND window_start = :day AND asset = ANY(CAST(:assets AS text[])) ORDER BY scope, asset FOR UPDATE"
)
_COUNTED = text(
    "SELECT scope, asset, sum(greatest(amount_minor, 0)) AS counted FROM ("
    "SELECT s.scope, c.asset, c.amount_minor FROM limit_counts c CROSS JOIN (VALUES ('again'), ('day')) s(scope) "
    "WHERE c.day = :day AND c.asset = ANY(CAST(:assets AS text[])) AND (c.again OR s.scope = 'day') UNION ALL "
    "SELECT 'again', asset, amount_minor FROM payouts WHERE closed_on = :day AND asset = ANY(CAST(:assets AS text[]))) c "
    "WHERE scope = ANY(CAST(:scopes AS text[])) GROUP BY scope, asset"
)
_RESERVE = text(
    "INSERT INTO limit_use (scope, key, window_start, asset, used_minor, ceiling_minor) "
    "SELECT :scope, '', CAST(:day AS date), u.asset, u.amount, u.ceiling "
    "FROM unnest(CAST(:assets AS text[]), CAST(:amounts AS bigint[]), CAST(:ceilings AS bigint[])) "
    "AS u(asset, amount, ceiling) WHERE u.amount <= u.ceiling ORDER BY u.asset "
    "ON CONFLICT (scope, key, window_start, asset) DO UPDATE "
    "SET used_minor = limit_use.used_minor + excluded.used_minor, ceiling_minor = excluded.ceiling_minor "
    "WHERE CAST(limit_use.used_minor AS numeric) + excluded.used_minor <= excluded.ceiling_minor RETURNING asset"
)
_ADD = text(
    "UPDATE limit_use l SET used_minor = l.used_minor + u.amount "
    "FROM unnest(CAST(:assets AS text[]), CAST(:amounts AS bigint[])) AS u(asset, amount) "
    "WHERE l.scope = :scope AND l.key = '' AND l.window_start = :day AND l.asset = u.asset"
)
