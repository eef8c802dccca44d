"""The checks of a service as a job: what people ask over HTTP is asked again and again, and told as a metric."""

import time
from collections.abc import Sequence
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import verify_chain
from prizewire_chassis.db import Database
from prizewire_chassis.http.parts import Check, rows_of
from prizewire_chassis.jobs import STAND_BACK_S, Job
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import BREACHES, CHECK_SECONDS
from prizewire_chassis.stuck_checks import stuck_checks
from prizewire_chassis.stuck_events import StuckEvents

__all__ = ["audit_check", "checks_job", "common_checks", "outbox_check"]

SHARE_MAX = 20
"""A check that takes long is asked less often: it rests for so many times as long as it took."""
_log = get_logger(__name__)


def audit_check(service: str) -> Check:
    """The check of a service's audit chain."""
    return Check("audit.chain", partial(verify_chain, service=service), count=rows_of("audit_log"))


def outbox_check() -> Check:
    """The check that every event that is still to be published is there: the relay would pass over one that is not."""
    return Check("outbox.waiting_is_there", _waiting_is_there, count=rows_of("outbox_waiting"))


def common_checks(*, service: str, stuck: StuckEvents) -> list[Check]:
    """The checks that every service has."""
    return [*stuck_checks(stuck), outbox_check(), audit_check(service)]


async def _waiting_is_there(tx: AsyncConnection) -> list[str]:
    return [
        f"event {row.id} of the outbox was not published, and is missing"
        for row in await tx.execute(_MISSING)
    ]


_MISSING = text(
    "SELECT w.id FROM outbox_waiting w WHERE NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = w.id) "
    "ORDER BY w.id LIMIT 100"
)


def checks_job(*, db: Database, checks: Sequence[Check], interval_s: float) -> Job:
    """Runs each check every ``interval_s`` seconds at most, in a transaction of its own, and keeps the gauges of its
    breaches and of its duration. One that cannot be run does not keep the others from it: the job then fails, and is
    counted as any failing job is.
    """
    rested: dict[str, float] = {}

    async def one(check: Check) -> None:
        began = time.monotonic()
        if began < rested.get(check.name, 0.0):
            return
        async with db.transaction() as tx:
            breaches = await check.run(tx)
        took = time.monotonic() - began
        rested[check.name] = began + took + SHARE_MAX * took
        BREACHES.labels(check.name).set(len(breaches))
        CHECK_SECONDS.labels(check.name).set(took)
        if breaches:
            _log.error("invariant broken", invariant=check.name, breaches=breaches[:10])

    async def run() -> bool:
        failures: list[Exception] = []
        for check in checks:
            try:
                await one(check)
            except Exception as error:  # noqa: BLE001 - raised together once all have had their turn
                failures.append(error)
        if failures:
            raise ExceptionGroup("checks could not be run", failures)
        return False

    return Job("checks", interval_s, run, first_s=min(interval_s, STAND_BACK_S))
