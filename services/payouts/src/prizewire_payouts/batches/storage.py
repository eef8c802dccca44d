"""Batches over PostgreSQL, with their check."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_money import Amount
from prizewire_payouts.batches.domain import Batch, BatchRefused, BatchSummary, HoldNotes
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import NOT_ARRIVED_YET
from prizewire_payouts.payouts.storage.payouts import payout_from
from prizewire_payouts.payouts.storage.queries import PayoutQueries
from prizewire_payouts.payouts.storage.statements import PAYOUT
from prizewire_payouts.unit_of_work import UnitOfWork

_ONE = text("SELECT batch_id, lines, filed_by, requested_at FROM payout_batches WHERE batch_id = :id")
_PAGE = text(
    "SELECT batch_id, lines, filed_by, requested_at FROM payout_batches "
    "ORDER BY requested_at DESC, batch_id DESC LIMIT :limit"
)
_PAGE_AFTER = text(
    "SELECT batch_id, lines, filed_by, requested_at FROM payout_batches "
    "WHERE (requested_at, batch_id) < (:at, :id) ORDER BY requested_at DESC, batch_id DESC LIMIT :limit"
)
_ARRIVED = text(
    "SELECT p.batch_id, count(*) AS payouts, count(DISTINCT p.batch_line) AS arrived, max(p.batch_line) AS last, "
    "min(p.batch_lines) AS least, max(p.batch_lines) AS most "
    "FROM payouts p WHERE p.batch_id = ANY(CAST(:ids AS uuid[])) GROUP BY p.batch_id"
)
_COUNTED = text(
    "SELECT p.batch_id, p.asset, p.state, CASE WHEN p.state = 'held' THEN p.code END AS hold, count(*) AS n, "
    "sum(p.amount_minor) AS minor FROM payouts p WHERE p.batch_id = ANY(CAST(:ids AS uuid[])) GROUP BY 1, 2, 3, 4"
)
_APPROVERS = text(
    "SELECT p.batch_id, a.approver AS name, count(*) AS n FROM payouts p JOIN approvals a USING (payout_id, hold_no) "
    "WHERE p.batch_id = ANY(CAST(:ids AS uuid[])) GROUP BY 1, 2 ORDER BY 1, 2"
)
_GATES = text(
    "SELECT p.batch_id, g.gate AS name, count(*) AS n FROM payouts p JOIN gate_findings g USING (payout_id, hold_no) "
    "WHERE p.batch_id = ANY(CAST(:ids AS uuid[])) AND p.state = 'held' GROUP BY 1, 2 ORDER BY 1, 2"
)
_LINES = text(
    f"{PAYOUT}p.batch_id = :id AND (p.batch_line, p.payout_id) > (:line, :payout) "
    "ORDER BY p.batch_line, p.payout_id LIMIT :limit"
)
_MEMBERS = text("SELECT p.payout_id FROM payouts p WHERE p.batch_id = :id ORDER BY p.batch_line, p.payout_id")
_UNEQUAL = text(
    "SELECT b.batch_id, b.lines FROM payout_batches b JOIN payouts p USING (batch_id) "
    "GROUP BY b.batch_id HAVING min(p.batch_lines) <> b.lines OR max(p.batch_lines) <> b.lines OR max(p.batch_line) > b.lines "
    "OR min(p.batch_line) < 1 LIMIT 100"
)
_TWICE = text(
    "SELECT p.batch_id, p.batch_line, count(*) AS n FROM payouts p WHERE p.batch_id IS NOT NULL "
    "GROUP BY 1, 2 HAVING count(*) > 1 LIMIT 100"
)
_WITHOUT = text(
    "SELECT p.payout_id, p.batch_id FROM payouts p LEFT JOIN payout_batches b USING (batch_id) "
    "WHERE p.batch_id IS NOT NULL AND b.batch_id IS NULL LIMIT 100"
)


class BatchStorage:
    """Reads batches within a transaction; locks nothing. It is `prizewire_payouts.batches.ports.Holds` too."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._unit_of_work = unit_of_work
        self._tx = unit_of_work.tx

    async def page(self, *, before: tuple[datetime, UUID] | None, limit: int) -> list[BatchSummary]:
        """A page of batches, the newest first; those before a (time, id)."""
        if before is None:
            rows = (await self._tx.execute(_PAGE, {"limit": limit})).all()
        else:
            wanted = {"limit": limit, "at": before[0], "id": before[1]}
            rows = (await self._tx.execute(_PAGE_AFTER, wanted)).all()
        return await self._summaries([_batch(row) for row in rows])

    async def one(self, batch_id: UUID) -> BatchSummary:
        """One batch.

        Raises:
            BatchRefused: ``batch_unknown``.
        """
        row = (await self._tx.execute(_ONE, {"id": batch_id})).one_or_none()
        if row is None:
            raise BatchRefused("batch_unknown", f"there is no batch {batch_id}{NOT_ARRIVED_YET}")
        return (await self._summaries([_batch(row)]))[0]

    async def members(self, batch_id: UUID) -> list[UUID]:
        """The payouts of a batch, in the order of its lines."""
        return [row.payout_id for row in await self._tx.execute(_MEMBERS, {"id": batch_id})]

    async def lines(self, batch_id: UUID, *, after: tuple[int, UUID] | None, limit: int) -> list[Payout]:
        """A page of the payouts of a batch, in the order of its lines."""
        line, payout_id = after or (0, UUID(int=0))
        wanted = {"id": batch_id, "line": line, "payout": payout_id, "limit": limit}
        return [payout_from(row, self._unit_of_work.assets) for row in await self._tx.execute(_LINES, wanted)]

    async def notes(self, payouts: Sequence[Payout]) -> Mapping[UUID, HoldNotes]:
        """See the port."""
        found = await PayoutQueries(self._unit_of_work).notes(payouts)
        return {
            key: HoldNotes(approvers=one.approvers, gates=tuple(gate.code for gate in one.gates))
            for key, one in found.items()
        }

    async def _summaries(self, batches: Sequence[Batch]) -> list[BatchSummary]:
        ids = {"ids": [batch.batch_id for batch in batches]}
        if not batches:
            return []
        arrived = {row.batch_id: row for row in await self._tx.execute(_ARRIVED, ids)}
        counted: dict[UUID, list[Row[Any]]] = defaultdict(list)
        for row in await self._tx.execute(_COUNTED, ids):
            counted[row.batch_id].append(row)
        approvers, gates = await self._named(_APPROVERS, ids), await self._named(_GATES, ids)
        return [
            BatchSummary(
                batch=batch,
                arrived=arrived[batch.batch_id].arrived if batch.batch_id in arrived else 0,
                consistent=batch.batch_id in arrived and _consistent(batch, arrived[batch.batch_id]),
                totals=self._totals(counted[batch.batch_id]),
                states=_sums((row.state, row.n) for row in counted[batch.batch_id]),
                holds=_sums((row.hold, row.n) for row in counted[batch.batch_id] if row.hold is not None),
                gates=gates[batch.batch_id],
                approvers=approvers[batch.batch_id],
            )
            for batch in batches
        ]

    def _totals(self, rows: Sequence[Row[Any]]) -> dict[str, Amount]:
        minor = _sums((row.asset, int(row.minor)) for row in rows)
        return {code: Amount(self._unit_of_work.assets[code], total) for code, total in minor.items()}

    async def _named(self, query: Any, ids: Mapping[str, Any]) -> dict[UUID, dict[str, int]]:
        found: dict[UUID, dict[str, int]] = defaultdict(dict)
        for row in await self._tx.execute(query, ids):
            found[row.batch_id][row.name] = row.n
        return found


def _sums(pairs: Any) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for name, count in pairs:
        found[name] += count
    return dict(sorted(found.items()))


def _consistent(batch: Batch, row: Row[Any]) -> bool:
    same = row.least == row.most == batch.lines
    return bool(same and row.payouts == row.arrived and row.last <= batch.lines)


def _batch(row: Row[Any]) -> Batch:
    return Batch(batch_id=row.batch_id, lines=row.lines, filed_by=row.filed_by, requested_at=row.requested_at)


async def _fit(tx: AsyncConnection) -> list[str]:
    return [
        *(
            f"batch {row.batch_id} has {row.lines} lines, and a payout of it names another number or another line"
            for row in await tx.execute(_UNEQUAL)
        ),
        *(
            f"line {row.batch_line} of batch {row.batch_id} is {row.n} payouts"
            for row in await tx.execute(_TWICE)
        ),
        *(
            f"payout {row.payout_id} is of batch {row.batch_id}, which is not stored"
            for row in await tx.execute(_WITHOUT)
        ),
    ]


CHECKS = (Check("payout_batches_fit", _fit, count=rows_of("payout_batches")),)
"""All payouts of a batch name the same number of lines, and no line is two payouts."""
