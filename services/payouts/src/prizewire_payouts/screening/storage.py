"""Answers of the screening service over PostgreSQL, with their lineage and their gauge."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import after_commit
from prizewire_chassis.http import LineageEntry
from prizewire_money import Amount
from prizewire_payouts.metrics import SCREENINGS, UNSCREENED_AGE
from prizewire_payouts.screening.domain import Screening, Verdict
from prizewire_payouts.screening.ports import Unscreened
from prizewire_payouts.unit_of_work import UnitOfWork

_DUE = text(
    "SELECT p.payout_id, coalesce(p.payee, p.player) AS person, p.method_id, p.method_type, p.address, p.memo, p.asset, p.amount_minor, "
    "coalesce(asked.n, 0) AS n, coalesce(asked.in_vain, false) AS in_vain FROM payouts p "
    "LEFT JOIN LATERAL (SELECT max(s.at) FILTER (WHERE s.verdict <> 'unanswered') AS answered_at, max(s.at) AS at, "
    "count(*) AS n, (array_agg(s.verdict ORDER BY s.number DESC))[1] = 'unanswered' AS in_vain "
    "FROM screenings s WHERE s.payout_id = p.payout_id) asked ON true "
    "WHERE p.state IN ('approved', 'held') AND (asked.answered_at IS NULL "
    "OR (p.state = 'approved' AND asked.answered_at < :answered_before)) "
    "AND (asked.at IS NULL OR NOT asked.in_vain OR asked.at <= :asked_before) "
    "ORDER BY p.state, p.changed_at, p.payout_id LIMIT :limit"
)
_LATEST = text(
    "SELECT DISTINCT ON (s.payout_id) s.number, s.payout_id, s.verdict, s.reference, s.reason, s.at FROM screenings s "
    "WHERE s.payout_id = ANY(CAST(:ids AS uuid[])) AND s.verdict <> 'unanswered' ORDER BY s.payout_id, s.number DESC"
)
_ADD = text(
    "INSERT INTO screenings (payout_id, verdict, reference, reason, at) "
    "SELECT r.payout_id, r.verdict, r.reference, r.reason, r.at FROM jsonb_to_recordset(CAST(:rows AS jsonb)) "
    "AS r(payout_id uuid, verdict text, reference text, reason text, at timestamptz)"
)
_OF_CORRELATION = text(
    "SELECT s.number, s.payout_id, s.verdict, s.reference, s.reason, s.at FROM screenings s JOIN payouts p USING (payout_id) "
    "WHERE p.correlation_id = :correlation ORDER BY s.at, s.number"
)
_WAITING_SINCE = text(
    "SELECT min(changed_at) FROM payouts WHERE state = 'approved' AND code = 'screening_pending'"
)


class ScreeningStorage:
    """`prizewire_payouts.screening.ports.Screenings` over PostgreSQL."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._tx = unit_of_work.tx
        self._assets = unit_of_work.assets

    async def due(
        self, *, answered_before: datetime, asked_before: datetime, limit: int
    ) -> Sequence[Unscreened]:
        """See the port."""
        wanted = {"answered_before": answered_before, "asked_before": asked_before, "limit": limit}
        return [
            Unscreened(
                payout_id=row.payout_id,
                person=row.person,
                method_id=row.method_id,
                method_type=row.method_type,
                address=row.address,
                memo=row.memo,
                amount=Amount(self._assets[row.asset], row.amount_minor),
                asked=row.n,
                in_vain=row.in_vain,
            )
            for row in await self._tx.execute(_DUE, wanted)
        ]

    async def latest(self, payout_ids: Sequence[UUID]) -> Mapping[UUID, Screening]:
        """See the port."""
        if not payout_ids:
            return {}
        found = await self._tx.execute(_LATEST, {"ids": list(payout_ids)})
        return {row.payout_id: _screening(row) for row in found}

    async def add(self, screenings: Sequence[Screening]) -> None:
        """See the port."""
        rows = [
            {
                "payout_id": str(one.payout_id),
                "verdict": one.verdict,
                "reference": one.reference,
                "reason": one.reason,
                "at": one.at,
            }
            for one in screenings
        ]
        await self._tx.execute(_ADD, {"rows": orjson.dumps(rows).decode()})
        after_commit(self._tx, lambda: _count(screenings))


def _count(screenings: Sequence[Screening]) -> None:
    for one in screenings:
        SCREENINGS.labels(one.verdict).inc()


def _screening(row: Row[Any]) -> Screening:
    return Screening(
        number=row.number,
        payout_id=row.payout_id,
        verdict=Verdict(row.verdict),
        reference=row.reference,
        reason=row.reason,
        at=row.at,
    )


async def screening_lineage(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
    """Every answer of the screening service about the payouts of a correlation id. The reason is left to the gate that it led to."""
    return [
        LineageEntry(
            at=row.at,
            service="payouts",
            kind=f"payout.screening_{row.verdict}",
            id=str(row.payout_id),
            summary=f"payout {row.payout_id}: the screening service answered {row.verdict}"
            if row.verdict != Verdict.UNANSWERED
            else f"payout {row.payout_id}: the screening service did not answer",
            detail={"verdict": row.verdict, "reference": row.reference},
        )
        for row in await tx.execute(_OF_CORRELATION, {"correlation": correlation_id})
    ]


async def measure_screening(tx: AsyncConnection, *, now: datetime) -> None:
    """Set the age of the oldest payout that waits for an answer."""
    since = (await tx.execute(_WAITING_SINCE)).scalar_one()
    UNSCREENED_AGE.set(0 if since is None else max(0.0, (now - since).total_seconds()))
