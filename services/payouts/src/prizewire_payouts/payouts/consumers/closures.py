"""What whoever executes for a rail tells the lifecycle, inside their own transaction: there is news of payouts,
the signer closed one, the signer would not.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import Incoming
from prizewire_contracts.events.signing import ClosedEvent, CloseRefusedEvent
from prizewire_payouts.approval.domain import Schedule
from prizewire_payouts.payouts.handlers.closing import take_close_refused, take_closed
from prizewire_payouts.payouts.storage.store import PostgresTransactions

# a payout that is still being submitted belongs to its worker until the lease is over
_DUE = text(
    "WITH news AS (SELECT payout_id FROM payouts WHERE payout_id = ANY(CAST(:ids AS uuid[])) "
    "AND state IN ('pending', 'unknown', 'paid') ORDER BY payout_id FOR UPDATE) "
    "UPDATE payouts p SET due_at = :now FROM news WHERE p.payout_id = news.payout_id"
)


class Lifecycle:
    """The lifecycle as an execution sees it. ``wake`` is called after the commit of news."""

    def __init__(
        self,
        *,
        transactions: PostgresTransactions,
        schedule: Schedule,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._transactions = transactions
        self._schedule = schedule
        self._clock = clock
        self._wake = wake

    async def on_progress(self, tx: AsyncConnection, payout_ids: Sequence[UUID], now: datetime) -> None:
        """There is news of these payouts: their rail is to be asked at once."""
        await tx.execute(_DUE, {"ids": list(payout_ids), "now": now})
        after_commit(tx, self._wake)

    async def on_closed(self, tx: AsyncConnection, incoming: Incoming) -> bool:
        """The signer's tombstone, authentic: end the payout. The text on Kafka is what rewards verifies again. False where
        there is no such payout.
        """
        event = incoming.event
        assert isinstance(event, ClosedEvent)
        return await take_closed(
            self._transactions.store(tx),
            payout_id=event.data.payout_id,
            closure=incoming.value.decode(),
            cause=event.id,
            now=self._clock.now(),
        )

    async def on_close_refused(self, tx: AsyncConnection, incoming: Incoming) -> bool:
        """A slot is bound: send the payout back to be proved. False where there is no such payout."""
        event = incoming.event
        assert isinstance(event, CloseRefusedEvent)
        not_before = event.data.not_before
        return await take_close_refused(
            self._transactions.store(tx),
            payout_id=event.data.payout_id,
            cause=event.id,
            not_before=None if not_before is None else datetime.fromtimestamp(not_before, UTC),
            schedule=self._schedule,
            now=self._clock.now(),
        )
