"""Approvals, the use of day limits and pauses over PostgreSQL, with their checks and their gauge."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import LineageEntry
from prizewire_money import Amount, Asset
from prizewire_payouts.approval.domain import Pause, PauseScope, day_of
from prizewire_payouts.metrics import AUTOMATIC_USED, PAUSES
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.unit_of_work import UnitOfWork

_APPROVERS = text(
    "SELECT approver FROM approvals WHERE payout_id = :payout AND hold_no = :hold ORDER BY at, approver"
)
_ADD_APPROVAL = text(
    "INSERT INTO approvals (payout_id, hold_no, approver, note, at) VALUES (:payout, :hold, :approver, :note, :now)"
)
# An insert that meets a row waits for the transaction that has locked it, and returns the row as that one left it.
_LOCK_AUTOMATIC_USE = text(
    "INSERT INTO automatic_use AS a (day, asset) SELECT CAST(:day AS date), u.asset "
    "FROM unnest(CAST(:assets AS text[])) AS u(asset) ORDER BY u.asset "
    "ON CONFLICT (day, asset) DO UPDATE SET used_minor = a.used_minor RETURNING asset, used_minor"
)
_ADD_AUTOMATIC_USE = text(
    "UPDATE automatic_use a SET used_minor = a.used_minor + u.minor "
    "FROM unnest(CAST(:assets AS text[]), CAST(:minor AS bigint[])) AS u(asset, minor) "
    "WHERE a.day = CAST(:day AS date) AND a.asset = u.asset"
)
_USED = text("SELECT asset, used_minor FROM automatic_use WHERE day = CAST(:day AS date)")
_PAUSES = text("SELECT * FROM pauses WHERE resumed_at IS NULL ORDER BY paused_at DESC, pause_id DESC")
_PAUSES_COUNTED = text("SELECT scope, count(*) AS n FROM pauses WHERE resumed_at IS NULL GROUP BY scope")
_ADD_PAUSE = text(
    "INSERT INTO pauses (pause_id, scope, value, reason, paused_by, paused_at) "
    "VALUES (:pause, :scope, :value, :reason, :by, :at)"
)
_LIFT_PAUSE = text("UPDATE pauses SET resumed_by = :by, resumed_at = :at WHERE pause_id = :pause")
_ASSETS = text("SELECT code, decimals, redeemable FROM assets")
_MISCOUNTED = text(
    "SELECT day, asset, coalesce(u.used_minor, 0) AS counted, coalesce(s.approved, 0) AS approved FROM automatic_use u "
    "FULL JOIN (SELECT CAST(t.at AT TIME ZONE 'UTC' AS date) AS day, p.asset, sum(p.amount_minor) AS approved "
    "FROM payout_transitions t JOIN payouts p USING (payout_id) "
    "WHERE t.from_state = 'requested' AND t.to_state = 'approved' AND t.actor = 'policy' GROUP BY 1, 2) s USING (day, asset) "
    "WHERE coalesce(u.used_minor, 0) <> coalesce(s.approved, 0) ORDER BY day, asset LIMIT 100"
)
_BY_PARTIES = text(
    "SELECT a.payout_id, a.approver FROM approvals a JOIN payouts p USING (payout_id) "
    "WHERE a.approver = p.filed_by OR a.approver = p.player "
    "OR EXISTS (SELECT 1 FROM jsonb_array_elements(p.sources) s WHERE s->>1 = a.approver) LIMIT 100"
)
# A pause held a payout that was approved while it was in force: the payout was approved before the pause ended, and left the
# state after the pause began.
_HELD_BY_PAUSES = text(
    "SELECT DISTINCT x.pause_id, x.scope, x.value, x.reason, x.paused_by, x.paused_at, x.resumed_by, x.resumed_at, "
    "o.payout_id FROM payouts o JOIN LATERAL (SELECT t.at AS begun, t.to_state, lead(t.at) OVER (ORDER BY t.id) AS ended "
    "FROM payout_transitions t WHERE t.payout_id = o.payout_id) w ON w.to_state = 'approved' "
    "JOIN pauses x ON x.paused_at < coalesce(w.ended, 'infinity') AND coalesce(x.resumed_at, 'infinity') > w.begun "
    "AND (x.scope = 'rail' AND x.value = o.rail OR x.scope = 'asset' AND x.value = o.asset "
    "OR x.scope = 'campaign' AND x.value = o.campaign OR x.scope = 'competition' AND x.value = o.competition "
    "OR x.scope = 'player' AND x.value IN (o.player, o.payee)) "
    "WHERE o.correlation_id = :correlation ORDER BY x.paused_at, x.pause_id, o.payout_id LIMIT 200"
)


class ApprovalStorage:
    """`prizewire_payouts.approval.ports.Approvals` over PostgreSQL."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._tx = unit_of_work.tx

    async def approvers(self, payout: Payout) -> list[str]:
        """See the port."""
        found = await self._tx.execute(_APPROVERS, {"payout": payout.payout_id, "hold": payout.hold_no})
        return [row.approver for row in found]

    async def add(self, *, payout: Payout, approver: str, note: str | None, now: datetime) -> None:
        """See the port."""
        await self._tx.execute(
            _ADD_APPROVAL,
            {
                "payout": payout.payout_id,
                "hold": payout.hold_no,
                "approver": approver,
                "note": note,
                "now": now,
            },
        )

    async def lock_automatic_use(self, *, day: date, assets: Iterable[Asset]) -> dict[str, Amount]:
        """See the port."""
        by_code = {asset.code: asset for asset in assets}
        if not by_code:
            return {}
        found = await self._tx.execute(_LOCK_AUTOMATIC_USE, {"day": day, "assets": sorted(by_code)})
        return {row.asset: Amount(by_code[row.asset], row.used_minor) for row in found}

    async def add_automatic_use(self, *, day: date, taken: Mapping[str, Amount]) -> None:
        """See the port."""
        codes = sorted(taken)
        minor = [taken[code].minor for code in codes]
        found = await self._tx.execute(_ADD_AUTOMATIC_USE, {"day": day, "assets": codes, "minor": minor})
        assert found.rowcount == len(codes), "the assets were not locked"


class PauseStorage:
    """`prizewire_payouts.approval.ports.Pauses` over PostgreSQL."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._unit_of_work = unit_of_work
        self._tx = unit_of_work.tx

    async def in_force(self) -> list[Pause]:
        """See the port."""
        return [_pause(row) for row in await self._tx.execute(_PAUSES)]

    async def add(self, pause: Pause) -> None:
        """See the port."""
        await self._tx.execute(
            _ADD_PAUSE,
            {
                "pause": pause.pause_id,
                "scope": pause.scope,
                "value": pause.value,
                "reason": pause.reason,
                "by": pause.paused_by,
                "at": pause.paused_at,
            },
        )

    async def lift(self, pause: Pause) -> None:
        """See the port."""
        await self._tx.execute(
            _LIFT_PAUSE, {"pause": pause.pause_id, "by": pause.resumed_by, "at": pause.resumed_at}
        )
        after_commit(self._tx, self._unit_of_work.wake_workers)


def _pause(row: Row[Any]) -> Pause:
    """A pause as stored."""
    return Pause(
        pause_id=row.pause_id,
        scope=PauseScope(row.scope),
        value=row.value,
        reason=row.reason,
        paused_by=row.paused_by,
        paused_at=row.paused_at,
        resumed_by=row.resumed_by,
        resumed_at=row.resumed_at,
    )


async def measure_automatic_use(
    tx: AsyncConnection, *, automatic_in_day: Mapping[str, Amount], now: datetime
) -> None:
    """Set the gauge of the day limits. ``automatic_in_day`` are the limits by asset code."""
    used = {row.asset: row.used_minor for row in await tx.execute(_USED, {"day": day_of(now)})}
    for asset, limit in automatic_in_day.items():
        # a limit of zero is used up from the start
        AUTOMATIC_USED.labels(asset).set(used.get(asset, 0) / limit.minor if limit else 1)


async def measure_pauses(tx: AsyncConnection) -> None:
    """Set the gauge of pauses in force."""
    counted = {row.scope: row.n for row in await tx.execute(_PAUSES_COUNTED)}
    for scope in PauseScope:
        PAUSES.labels(scope).set(counted.get(scope, 0))


async def _automatic(tx: AsyncConnection) -> list[str]:
    assets = {row.code: Asset(row.code, row.decimals, row.redeemable) for row in await tx.execute(_ASSETS)}
    return [
        f"on {row.day} payouts over {assets[row.asset].describe(int(row.approved))} were approved without a person, and "
        f"{assets[row.asset].describe(row.counted)} are counted"
        for row in await tx.execute(_MISCOUNTED)
    ]


async def _approvals(tx: AsyncConnection) -> list[str]:
    return [
        f"payout {row[0]} was approved by {row[1]}, a party of it" for row in await tx.execute(_BY_PARTIES)
    ]


CHECKS = (
    Check("payout_automatic_use_is_counted", _automatic, count=rows_of("automatic_use")),
    Check("payout_approvals_by_no_party", _approvals, count=rows_of("approvals")),
)
"""What was approved without a person on a day, in an asset, is what that day's limit counts as used. Nobody approved a
payout who filed it, is paid by it, or is behind its money or destination.
"""


async def held_by_pauses(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
    """Who paused and who resumed, for each pause that held a payout of one correlation id."""
    entries: list[LineageEntry] = []
    for row in await tx.execute(_HELD_BY_PAUSES, {"correlation": correlation_id}):
        what, payout = f"payments of {row.scope} {row.value}", str(row.payout_id)
        of = {"pause_id": str(row.pause_id), "scope": row.scope, "value": row.value}
        entries.append(
            LineageEntry(
                at=row.paused_at,
                service="payouts",
                kind="payouts.paused",
                id=payout,
                summary=f"{what} paused by {row.paused_by}: {row.reason}",
                detail={**of, "paused_by": row.paused_by, "reason": row.reason},
            )
        )
        if row.resumed_at is not None:
            entries.append(
                LineageEntry(
                    at=row.resumed_at,
                    service="payouts",
                    kind="payouts.resumed",
                    id=payout,
                    summary=f"{what} resumed by {row.resumed_by}",
                    detail={**of, "resumed_by": row.resumed_by},
                )
            )
    return sorted(entries, key=lambda entry: entry.at)
