"""What is done for all payouts from time to time: expired intents, rails that are gone, gauges."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import Batches
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_payouts.payouts.handlers.requests import hold_all_expired, route_again
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.unit_of_work import UnitOfWorkFactory

_HOUSEKEEPING_S = 5.0


def housekeeping_job(
    *,
    db: Database,
    unit_of_work: UnitOfWorkFactory,
    rails: Sequence[Rail],
    clock: Clock,
    measure: Callable[[datetime], Awaitable[None]],
) -> Job:
    """The job that holds payouts with expired intents, routes payouts whose rail is gone, and sets the gauges."""
    expiring, routing = (
        Batches(f"payouts.{step}", db=db, clock=clock) for step in ("hold_expired", "route_again")
    )

    async def run() -> bool:
        now = clock.now()

        async def hold(tx: AsyncConnection) -> bool:
            return await hold_all_expired(PayoutStorage(unit_of_work(tx)), now=now)

        async def route(tx: AsyncConnection) -> bool:
            return await route_again(PayoutStorage(unit_of_work(tx)), rails=rails, now=now)

        more = any([*await expiring.run(hold), *await routing.run(route)])
        await measure(now)
        return more

    return Job("payouts.housekeeping", _HOUSEKEEPING_S, run)
