"""Transactions that ended without success, and those of them that the ledger applied nevertheless."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_payouts.stellar.domain.states import TransactionState
from prizewire_payouts.stellar.ports import EndedTransaction
from prizewire_payouts.stellar.storage.execution import Execution, in_transaction

_READ = (
    "SELECT a.attempt_id, a.tx_hash, a.state, a.max_time FROM stellar_attempts a "
    "WHERE a.state IN ('refused', 'failed', 'dead', 'superseded') AND a.max_time BETWEEN :since AND :until "
    "AND NOT EXISTS (SELECT 1 FROM stellar_contradictions c WHERE c.tx_hash = a.tx_hash) "
)
_ENDED = text(
    _READ
    + "AND (a.max_time, a.attempt_id) > (:max_time, :attempt) ORDER BY a.max_time, a.attempt_id LIMIT :limit"
)
_NEWEST = text(_READ + "ORDER BY a.max_time DESC, a.attempt_id DESC LIMIT :limit")
_CONTRADICT = text(
    "INSERT INTO stellar_contradictions (tx_hash, attempt_id, state, ledger, found_at) "
    "VALUES (:hash, :attempt, :state, :ledger, :now) ON CONFLICT DO NOTHING RETURNING tx_hash"
)


class EndingStorage:
    """`prizewire_payouts.stellar.ports.Endings` over PostgreSQL: each method is one transaction."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    @property
    def execution(self) -> Execution:
        """The execution whose rows these are."""
        return self._execution

    @in_transaction
    async def ended(
        self, tx: AsyncConnection, *, since: int, until: int, after: tuple[int, int] | None, limit: int
    ) -> list[EndedTransaction]:
        """See the port."""
        max_time, attempt = (since - 1, 0) if after is None else after
        values = {"since": since, "until": until, "max_time": max_time, "attempt": attempt, "limit": limit}
        return [_ended_of(row) for row in await tx.execute(_ENDED, values)]

    @in_transaction
    async def newest(
        self, tx: AsyncConnection, *, since: int, until: int, limit: int
    ) -> list[EndedTransaction]:
        """See the port."""
        values = {"since": since, "until": until, "limit": limit}
        return [_ended_of(row) for row in await tx.execute(_NEWEST, values)]

    @in_transaction
    async def contradict(
        self, tx: AsyncConnection, ended: EndedTransaction, *, ledger: int, now: datetime
    ) -> bool:
        """See the port."""
        stored = await tx.execute(
            _CONTRADICT,
            {
                "hash": ended.tx_hash,
                "attempt": ended.attempt_id,
                "state": str(ended.state),
                "ledger": ledger,
                "now": now,
            },
        )
        return stored.one_or_none() is not None


def _ended_of(row: Row[Any]) -> EndedTransaction:
    return EndedTransaction(row.attempt_id, row.tx_hash, TransactionState(row.state), row.max_time)
