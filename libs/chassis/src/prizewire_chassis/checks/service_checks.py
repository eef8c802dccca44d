"""The checks that every service has, and the job that runs all checks and reports breaches as a metric."""

import time
from collections.abc import Sequence
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import verify_chain
from prizewire_chassis.checks.check import Check, rows_of
from prizewire_chassis.checks.stuck_checks import stuck_checks
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import STARTUP_DELAY_S, Job
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import BREACHES, CHECK_SECONDS, CHECKED_AT
from prizewire_chassis.stuck_events import StuckEvents
from prizewire_contracts.decode import MESSAGE_BYTES_MAX
from prizewire_contracts.topics import TOPICS
from prizewire_contracts.trust import TrustStore

SHARE_MAX = 20
"""A slow check runs less often: its next run waits for so many times its duration."""
_log = get_logger(__name__)


def audit_check(service: str, *, trust: TrustStore | None, clock: Clock) -> Check:
    """The check of a service's audit chain. With a ``trust`` store it checks the signatures of the events in the outbox too."""
    check = partial(verify_chain, service=service, trust=trust, clock=clock)
    return Check("audit.chain", check, count=rows_of("audit_log"))


def outbox_check(service: str) -> Check:
    """The check that every unpublished event exists, since the relay would skip a missing one, and that Kafka accepts it
    from this service, since all later events wait for one that Kafka refuses.
    """
    topics = [topic.name for topic in TOPICS if service in topic.producers]
    return Check(
        "outbox.waiting_is_there", partial(_waiting_is_there, topics=topics), count=rows_of("outbox_waiting")
    )


def common_checks(*, service: str, stuck: StuckEvents) -> list[Check]:
    """The checks that every service has."""
    audit = audit_check(service, trust=stuck.processor.trust, clock=stuck.clock)
    return [*stuck_checks(stuck), outbox_check(service), audit]


async def _waiting_is_there(tx: AsyncConnection, *, topics: Sequence[str]) -> list[str]:
    missing = [
        f"event {row.id} of the outbox was not published, and its row is missing"
        for row in await tx.execute(_MISSING)
    ]
    values = {"topics": topics, "most": MESSAGE_BYTES_MAX}
    refused = [
        f"event {row.id} of the outbox ({row.event_id}, {row.size} bytes, topic {row.topic!r}) cannot be published, and "
        f"all later events wait: its topic must be one that this service writes, with at most {MESSAGE_BYTES_MAX} bytes"
        for row in await tx.execute(_REFUSED, values)
    ]
    return missing + refused


_MISSING = text(
    "SELECT w.id FROM outbox_waiting w WHERE NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = w.id) "
    "ORDER BY w.id LIMIT 100"
)


_REFUSED = text(
    "SELECT o.id, o.event_id, left(o.topic, 200) AS topic, octet_length(o.value) AS size "
    "FROM outbox_waiting w JOIN outbox o ON o.id = w.id "
    "WHERE o.topic <> ALL(CAST(:topics AS text[])) OR octet_length(o.value) > :most ORDER BY o.id LIMIT 100"
)


def checks_job(*, db: Database, checks: Sequence[Check], interval_s: float) -> Job:
    """A job that runs each check at most every ``interval_s`` seconds in a transaction of its own, and sets the gauges of its
    breaches, its duration and its time. A check that raises does not stop the others; the run of the job then fails.
    """
    due_at: dict[str, float] = {}

    async def one(check: Check) -> None:
        began = time.monotonic()
        if began < due_at.get(check.name, 0.0):
            return
        async with db.transaction(limited=False) as tx:
            breaches = await check.run(tx)
        took = time.monotonic() - began
        due_at[check.name] = began + took + SHARE_MAX * took
        BREACHES.labels(check.name).set(len(breaches))
        CHECK_SECONDS.labels(check.name).set(took)
        CHECKED_AT.labels(check.name).set_to_current_time()
        if breaches:
            _log.error("invariant broken", invariant=check.name, breaches=breaches[:10])

    async def run() -> bool:
        failures: list[Exception] = []
        for check in checks:
            try:
                await one(check)
            except Exception as error:  # noqa: BLE001 - raised together after the last check
                failures.append(error)
        if failures:
            raise ExceptionGroup("checks could not be run", failures)
        return False

    return Job("checks", interval_s, run, first_s=min(interval_s, STARTUP_DELAY_S))
