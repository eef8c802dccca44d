"""Keeps the rail types of stored payout methods as the configured rails serve them, and erases details that are needed no more."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, after_commit
from prizewire_chassis.jobs import Job
from prizewire_payouts.methods.handlers import route_all
from prizewire_payouts.methods.storage import ERASED_AT_ONCE, MethodStorage, erase_details
from prizewire_payouts.metrics import METHODS
from prizewire_payouts.unit_of_work import UnitOfWorkFactory

_EVERY_S = 3600.0
_PLAYERS_MAX = 50


def routing_job(
    *,
    db: Database,
    unit_of_work: UnitOfWorkFactory,
    clock: Clock,
    served: Mapping[str, tuple[str, ...]],
) -> Job:
    """The job that publishes ``method.routed`` for each method whose rail types the configuration has changed. It begins at the
    start of the service, since the configuration changes only there.
    """

    async def run() -> bool:
        async def route(tx: AsyncConnection) -> bool:
            return await route_all(
                MethodStorage(unit_of_work(tx)), served=served, now=clock.now(), limit=_PLAYERS_MAX
            )

        return await db.run(route)

    return Job("methods.routing", _EVERY_S, run)


def erasure_job(*, db: Database, clock: Clock, audit: Audit, kept_for: timedelta) -> Job:
    """The job: ``kept_for`` is how long the details of a removed method, and of an ended payout, are kept."""

    async def run() -> bool:
        now = clock.now()

        async def erase(tx: AsyncConnection) -> int:
            return await _erase(tx, audit=audit, before=now - kept_for)

        return await db.run(erase) == ERASED_AT_ONCE

    return Job("methods.erase_details", _EVERY_S, run)


async def _erase(tx: AsyncConnection, *, audit: Audit, before: datetime) -> int:
    erased = await erase_details(tx, before=before, limit=ERASED_AT_ONCE)
    for method_id, player in erased:
        await audit.record(
            tx,
            actor="payouts",
            action="payout_method.erased",
            target=str(method_id),
            detail={"player": player},
        )
    after_commit(tx, lambda: METHODS.labels("erased").inc(len(erased)))
    return len(erased)
