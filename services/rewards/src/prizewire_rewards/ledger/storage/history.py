"""The history of transitions over PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Write, later
from prizewire_rewards.ledger.domain.transitions import Transition


class SqlHistory:
    """The history in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def add(self, transitions: Sequence[Transition], *, now: datetime) -> None:
        """Append transitions in their order."""
        await later(
            self._tx,
            _ADD,
            {
                "machines": [step.machine for step in transitions],
                "subjects": [step.subject for step in transitions],
                "froms": [step.was for step in transitions],
                "tos": [step.to for step in transitions],
                "causes": [step.cause for step in transitions],
                "correlations": [step.correlation_id for step in transitions],
                "now": now,
            },
        )


_ADD = Write(
    "transitions",
    "INSERT INTO transitions (machine, subject, from_state, to_state, cause, correlation_id, at) "
    "SELECT u.machine, u.subject, u.was, u.became, u.cause, u.correlation_id, CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:machines AS text[]), CAST(:subjects AS uuid[]), CAST(:froms AS text[]), "
    "CAST(:tos AS text[]), CAST(:causes AS text[]), CAST(:correlations AS text[])) "
    "WITH ORDINALITY AS u(machine, subject, was, became, cause, correlation_id, n) ORDER BY u.n",
)
