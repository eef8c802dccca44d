"""The lineage of payments that people make: who claimed each one, and who exported its file, and when."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import LineageEntry
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.rails.storage import rail_rows
from prizewire_payouts.unit_of_work import UnitOfWork, UnitOfWorkFactory
from prizewire_railkit.by_hand import Line, PaidByHand
from prizewire_railkit.store import RailRowNotAuthentic

_CORRELATIONS = text(
    "SELECT DISTINCT correlation_id FROM payouts WHERE payout_id = ANY(CAST(CAST(:ids AS text[]) AS uuid[])) LIMIT 2"
)
_PAYOUTS = text(
    "SELECT payout_id, player, changed_at FROM payouts WHERE correlation_id = :correlation AND attempts > 0 "
    "ORDER BY requested_at, payout_id"
)


async def one_correlation(tx: AsyncConnection, payout_ids: Collection[UUID]) -> str | None:
    """The correlation id that these payouts have in common, for the audit record of a file or claim; None where they have several
    or none.
    """
    rows = await tx.execute(_CORRELATIONS, {"ids": [str(one) for one in payout_ids]})
    found: list[str] = list(rows.scalars())
    return found[0] if len(found) == 1 else None


class ByHandLineage:
    """A `prizewire_chassis.http.Lineage` over the lines of every rail over which people pay."""

    def __init__(self, *, rails: Sequence[Rail], unit_of_work: UnitOfWorkFactory) -> None:
        self._providers = {
            rail.name: rail.provider for rail in rails if isinstance(rail.provider, PaidByHand)
        }
        self._unit_of_work = unit_of_work

    async def __call__(self, tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
        """Claims and exports, by time. A payout with a row that somebody changed in the database has a step that says so."""
        payouts: dict[UUID, Row[Any]] = {}
        if self._providers:
            found = await tx.execute(_PAYOUTS, {"correlation": correlation_id})
            payouts = {row.payout_id: row for row in found}
        if not payouts:
            return []
        unit_of_work = self._unit_of_work(tx)
        entries: list[LineageEntry] = []
        for rail in self._providers:
            try:
                entries += await self._steps(unit_of_work, rail, payouts)
            except RailRowNotAuthentic:
                entries += await self._steps_one_by_one(unit_of_work, rail, payouts)
        return sorted(entries, key=lambda entry: entry.at)

    async def _steps(
        self, unit_of_work: UnitOfWork, rail: str, payouts: Mapping[UUID, Row[Any]]
    ) -> list[LineageEntry]:
        rows = rail_rows(unit_of_work, rail)
        lines = await self._providers[rail].lines_of(rows, payout_ids=list(payouts))
        return [step for line in lines for step in _steps(line, payouts[line.payout_id], rail)]

    async def _steps_one_by_one(
        self, unit_of_work: UnitOfWork, rail: str, payouts: Mapping[UUID, Row[Any]]
    ) -> list[LineageEntry]:
        """As ``_steps``, where a row of one of these payouts was changed in the database."""
        entries: list[LineageEntry] = []
        for payout_id, payout in payouts.items():
            try:
                entries += await self._steps(unit_of_work, rail, {payout_id: payout})
            except RailRowNotAuthentic as error:
                entries.append(
                    LineageEntry(
                        at=payout.changed_at,
                        service="payouts",
                        kind="payout.line_not_authentic",
                        id=str(payout_id),
                        summary=f"{_named(payout)}: {error}: see `prizewire verify`",
                        detail={"rail": rail},
                    )
                )
        return entries


def _steps(line: Line, payout: Row[Any], rail: str) -> Iterator[LineageEntry]:
    detail = {
        "rail": rail,
        "attempt_no": line.attempt_no,
        "reference": line.reference,
        "batch_id": line.batch_id,
    }
    if line.claimed_at is not None:
        yield LineageEntry(
            at=line.claimed_at,
            service="payouts",
            kind="payout.claimed",
            id=str(line.payout_id),
            summary=f"{_named(payout)}: the payment {line.reference} on {rail} claimed by {line.claimed_by}, batch {line.batch_id}",
            detail={**detail, "claimed_by": line.claimed_by},
        )
    for one in line.exports:
        yield LineageEntry(
            at=one.at,
            service="payouts",
            kind="payout.exported",
            id=str(line.payout_id),
            summary=f"{_named(payout)}: the payment {line.reference} on {rail} exported by {one.by} as {one.file_format}, "
            f"batch {line.batch_id}",
            detail={**detail, "exported_by": one.by, "format": one.file_format},
        )


def _named(payout: Row[Any]) -> str:
    return f"payout {payout.payout_id} {f'of {payout.player}' if payout.player else 'to an outside address'}"
