"""The history of slots and payouts: one row for each edge taken."""

from collections.abc import Sequence
from datetime import datetime

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
