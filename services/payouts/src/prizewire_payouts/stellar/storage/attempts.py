"""Attempts that are due, whatever is done with them."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_payouts.stellar.domain.model import TransactionAttempt
from prizewire_payouts.stellar.domain.states import TransactionState
from prizewire_payouts.stellar.storage.execution import Execution, in_transaction
from prizewire_payouts.stellar.storage.rows import attempt_of, due_attempts, first_due, payments_of

_POSTPONE = text("UPDATE stellar_attempts SET due_at = :until WHERE attempt_id = :attempt")


class AttemptStorage:
    """`prizewire_payouts.stellar.ports.Attempts` over PostgreSQL: each method is one transaction."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    @property
    def execution(self) -> Execution:
        """The execution whose rows these are."""
        return self._execution

    @in_transaction
    async def in_state(
        self, tx: AsyncConnection, *states: TransactionState, now: datetime
    ) -> list[TransactionAttempt]:
        """See the port."""
        rows = await due_attempts(tx, states, now=now)
        if TransactionState.LEASED not in states:
            return [attempt_of(row) for row in rows]
        held = await payments_of(tx, [row.attempt_id for row in rows], assets=self.execution.assets)
        return [attempt_of(row, held[row.attempt_id]) for row in rows]

    @in_transaction
    async def next_due(self, tx: AsyncConnection, state: TransactionState) -> datetime | None:
        """See the port."""
        return await first_due(tx, state)

    @in_transaction
    async def postpone(self, tx: AsyncConnection, attempt_id: int, *, until: datetime) -> None:
        """See the port."""
        await tx.execute(_POSTPONE, {"attempt": attempt_id, "until": until})
