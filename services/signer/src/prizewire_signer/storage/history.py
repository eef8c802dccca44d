"""The history of slots and payouts, and when a payout that was bound to a closed slot becomes free."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def add_transitions(
    tx: AsyncConnection,
    *,
    machine: str,
    edges: Sequence[tuple[str, str, str]],
    cause: str,
    correlation_id: str,
    now: datetime,
) -> None:
    """Store edges (subject, from, to), all of one cause; ``from`` is empty for what is new."""
    if not edges:
        return
    await tx.execute(
        _INSERT,
        {
            "machine": machine,
            "subjects": [subject for subject, _, _ in edges],
            "froms": [was for _, was, _ in edges],
            "tos": [becomes for _, _, becomes in edges],
            "cause": cause,
            "correlation": correlation_id,
            "now": now,
        },
    )


_INSERT = text(
    "INSERT INTO transitions (machine, subject, from_state, to_state, cause, correlation_id, at) "
    "SELECT :machine, u.subject, u.was, u.becomes, :cause, :correlation, CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:subjects AS text[]), CAST(:froms AS text[]), CAST(:tos AS text[])) "
    "AS u(subject, was, becomes)"
)


async def free_due(tx: AsyncConnection, payout_ids: Sequence[UUID], *, now: datetime) -> list[UUID]:
    """Free those of these payouts whose slot is closed and whose ``free_at`` has passed; returns them."""
    freed = await tx.execute(_FREE_DUE, {"ids": list(payout_ids), "now": now})
    return [row.payout_id for row in freed]


_FREE_DUE = text(
    "WITH due AS (SELECT payout_id FROM payouts WHERE payout_id = ANY(CAST(:ids AS uuid[])) AND state = 'bound' "
    "AND free_at <= :now ORDER BY payout_id FOR UPDATE) "
    "UPDATE payouts p SET state = 'free', slot_id = NULL, free_at = NULL FROM due "
    "WHERE p.payout_id = due.payout_id RETURNING p.payout_id"
)
