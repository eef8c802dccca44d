"""The history of subscriptions and deliveries: one row for each edge taken."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

Edge = tuple[str, str, str, str, str | None]
"""(subject, from, to, cause, correlation id); ``from`` is empty for what is new."""


async def add_transitions(tx: AsyncConnection, *, machine: str, edges: Sequence[Edge], now: datetime) -> None:
    """Store edges with one statement."""
    if not edges:
        return
    await tx.execute(
        _INSERT,
        {
            "machine": machine,
            "subjects": [edge[0] for edge in edges],
            "froms": [edge[1] for edge in edges],
            "tos": [edge[2] for edge in edges],
            "causes": [edge[3] for edge in edges],
            "correlations": [edge[4] for edge in edges],
            "now": now,
        },
    )


_INSERT = text(
    "INSERT INTO transitions (machine, subject, from_state, to_state, cause, correlation_id, at) "
    "SELECT :machine, u.subject, u.was, u.becomes, u.cause, u.correlation, CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:subjects AS text[]), CAST(:froms AS text[]), CAST(:tos AS text[]), "
    "CAST(:causes AS text[]), CAST(:correlations AS text[])) "
    "WITH ORDINALITY AS u(subject, was, becomes, cause, correlation, n) ORDER BY u.n"
)
