"""What the execution of a rail reports to payouts, inside its own transaction: progress, closures, refusals to close."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.inbox import Incoming
from prizewire_contracts.events.signing import ClosedEvent, CloseRefusedEvent
from prizewire_payouts.payouts.domain.schedule import Schedule
from prizewire_payouts.payouts.handlers.closing import apply_close_refusal, apply_closure
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.unit_of_work import UnitsOfWork


class ExecutionReports:
    """The callbacks that an execution is built with."""

    def __init__(self, *, units_of_work: UnitsOfWork, schedule: Schedule, clock: Clock) -> None:
        self._units_of_work = units_of_work
        self._schedule = schedule
        self._clock = clock

    async def on_progress(self, tx: AsyncConnection, payout_ids: Sequence[UUID], now: datetime) -> None:
        """The execution has progressed for these payouts: their rail is asked at once."""
        await self._payouts(tx).look_up_payouts_now(payout_ids, now=now)

    async def on_closed(self, tx: AsyncConnection, incoming: Incoming) -> bool:
        """The signer's tombstone, whose signature was verified: end the payout. Its text is stored as it was on Kafka,
        since rewards verifies it again. False where there is no such payout.
        """
        event = incoming.event
        assert isinstance(event, ClosedEvent)
        return await apply_closure(
            self._payouts(tx),
            payout_id=event.data.payout_id,
            closure=incoming.value.decode(),
            cause=event.id,
            now=self._clock.now(),
        )

    async def on_close_refused(self, tx: AsyncConnection, incoming: Incoming) -> bool:
        """The signer has bound a slot to the payout: reopen it until the slot is proved. False where there is no such
        payout.
        """
        event = incoming.event
        assert isinstance(event, CloseRefusedEvent)
        not_before = event.data.not_before
        return await apply_close_refusal(
            self._payouts(tx),
            payout_id=event.data.payout_id,
            cause=event.id,
            not_before=None if not_before is None else datetime.fromtimestamp(not_before, UTC),
            schedule=self._schedule,
            now=self._clock.now(),
        )

    def _payouts(self, tx: AsyncConnection) -> PayoutStorage:
        return PayoutStorage(self._units_of_work.over(tx))
