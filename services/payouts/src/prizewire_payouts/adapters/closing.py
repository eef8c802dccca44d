"""The signer's answers to closes, for whoever consumes its results: inside that consumer's transaction."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from prizewire_chassis.clock import Clock
from prizewire_contracts.canonical import canonical_bytes
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_payouts.adapters.storage import PostgresTransactions
from prizewire_payouts.domain.policy import Schedule
from prizewire_payouts.handlers.closing import take_close_refused, take_closed

__all__ = ["Closings"]


class Closings:
    """Takes ``signing.closed`` and ``signing.close_refused`` events that were authenticated already.

    ``raw`` is the event as it stood on Kafka; its canonical bytes are what rewards verifies again.
    """

    def __init__(self, *, transactions: PostgresTransactions, schedule: Schedule, clock: Clock) -> None:
        self._transactions = transactions
        self._schedule = schedule
        self._clock = clock

    async def on_closed(self, tx: AsyncConnection, raw: Mapping[str, Any]) -> bool:
        """End the payout that the event closes. False where there is no such payout."""
        return await take_closed(
            self._transactions.store(tx),
            payout_id=UUID(raw["data"]["payout_id"]),
            closure=canonical_bytes(dict(raw)).decode(),
            cause=str(raw["id"]),
            now=self._clock.now(),
        )

    async def on_close_refused(self, tx: AsyncConnection, raw: Mapping[str, Any]) -> bool:
        """Send the payout back to be proved. False where there is no such payout."""
        return await take_close_refused(
            self._transactions.store(tx),
            payout_id=UUID(raw["data"]["payout_id"]),
            cause=str(raw["id"]),
            schedule=self._schedule,
            now=self._clock.now(),
        )
