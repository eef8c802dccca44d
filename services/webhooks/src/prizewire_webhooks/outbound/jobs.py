"""The worker that delivers, and the job that cleans up after crashed workers."""

import asyncio
import random
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.batches import Batches
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, is_transient
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_chassis.tracing import calling, continued
from prizewire_webhooks.metrics import (
    ATTEMPT_SECONDS,
    ATTEMPTS,
    DELIVERIES_OPEN,
    DELIVERY_SECONDS,
    IN_FLIGHT,
    OLDEST,
    OPEN_STATES,
    SUBSCRIPTION_STATES,
    SUBSCRIPTIONS,
)
from prizewire_webhooks.outbound.domain.decisions import Outcome
from prizewire_webhooks.outbound.domain.model import Answer, Task, Unverified
from prizewire_webhooks.outbound.handlers import deliveries
from prizewire_webhooks.outbound.handlers.deliveries import Settled
from prizewire_webhooks.outbound.messages import trace_of
from prizewire_webhooks.outbound.ports import Sender, UnitOfWork, Verifier

PER_SUBSCRIPTION = 8
"""Attempts under way for one subscription: a hanging endpoint holds no more of the worker."""
_POLL_S = 1.0
_SWEEP_S = 15.0
_DRAIN_S = 8.0
_SETTLE_TRIES = 6
_log = get_logger(__name__)


class Deliverer:
    """Claims deliveries as slots become free and sends them beside each other.

    A run of the job only claims and starts: one slow endpoint keeps its own slots, nobody else's. What is under way
    when the process dies is sent again, under the same webhook-id, when its lease has ended.
    """

    def __init__(
        self,
        *,
        db: Database,
        unit_of_work: Callable[[AsyncConnection], UnitOfWork],
        verifier: Verifier,
        sender: Sender,
        clock: Clock,
        audit: Audit,
        slots: int,
    ) -> None:
        self._db = db
        self._unit_of_work = unit_of_work
        self._verifier = verifier
        self._sender = sender
        self._clock = clock
        self._audit = audit
        self._slots = slots
        self._running: set[asyncio.Task[None]] = set()
        self.job = Job("webhooks.deliver", _POLL_S, self.run)
        self._claims = Batches(self.job.name, db=db, clock=clock)

    async def run(self) -> bool:
        """Claim for the free slots and start sending; there is no more to do until a slot is free."""
        free = self._slots - len(self._running)
        if free <= 0:
            return False

        async def claim(tx: AsyncConnection) -> list[Task]:
            return await deliveries.claim(
                store=self._unit_of_work(tx).deliveries,
                now=self._clock.now(),
                limit=free,
                per_subscription=PER_SUBSCRIPTION,
            )

        for task in [task for batch in await self._claims.run(claim) for task in batch]:
            started = asyncio.create_task(self._deliver(task), name=f"delivery {task.delivery_id}")
            self._running.add(started)
            started.add_done_callback(self._ended)
        IN_FLIGHT.set(len(self._running))
        return False

    def _ended(self, finished: "asyncio.Task[None]") -> None:
        self._running.discard(finished)
        IN_FLIGHT.set(len(self._running))
        if not finished.cancelled() and (error := finished.exception()) is not None:
            _log.error("delivery interrupted; it is sent again when its lease ends", exc_info=error)
        self.job.wake()

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._running:
            await asyncio.wait(self._running)

    async def close(self) -> None:
        """Wait some seconds for running attempts, then cancel them. They are sent again when their leases end."""
        if self._running:
            await asyncio.wait(self._running, timeout=_DRAIN_S)
        for left in list(self._running):
            left.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _deliver(self, task: Task) -> None:
        with continued(trace_of(task), correlation_id=task.correlation_id):
            await self._attempt(task)

    async def _attempt(self, task: Task) -> None:
        body = self._verifier.body(task)
        if isinstance(body, Unverified):
            answer = Answer(status=None, code=body, latency_ms=0)
        else:
            with calling(
                "deliver webhook", correlation_id=task.correlation_id, event_type=task.event.type
            ) as span:
                answer = await self._sender.send(task, body=body, now=self._clock.now())
                span.attributes["http.response.status_code"] = answer.status
                span.error = None if answer.code is None else str(answer.code)
            ATTEMPT_SECONDS.observe(answer.latency_ms / 1000)
        settled = await self._settle(task, answer)
        if not settled.counted:
            ATTEMPTS.labels("superseded").inc()
            return
        ATTEMPTS.labels(settled.verdict.outcome).inc()
        if settled.verdict.outcome is Outcome.DELIVERED:
            DELIVERY_SECONDS.observe((self._clock.now() - task.event_taken_at).total_seconds())
            return
        log = _log.error if settled.verdict.outcome is Outcome.UNVERIFIED else _log.warning
        log(
            "webhook not delivered",
            subscription_id=str(task.subscription_id),
            event_id=task.event_id,
            correlation_id=task.correlation_id,
            attempt=task.number,
            status=answer.status,
            code=answer.code,
            state=str(settled.verdict.state),
        )

    async def _settle(self, task: Task, answer: Answer) -> Settled:
        """Record the outcome; a short outage of the database must not cause a second send."""
        jitter = random.random()  # noqa: S311 - spreads retries, no secret

        async def work(tx: AsyncConnection) -> Settled:
            settled = await deliveries.settle(
                task,
                answer,
                unit_of_work=self._unit_of_work(tx),
                now=self._clock.now(),
                jitter=jitter,
            )
            if settled.disabled is not None:
                await self._audit.record(
                    tx,
                    actor="webhooks",
                    action="subscription.disabled",
                    target=str(task.subscription_id),
                    reason="gone",
                    detail={"host": settled.disabled.host, "event_id": task.event_id},
                    correlation_id=task.correlation_id,
                )
            return settled

        tries = 0
        while True:
            try:
                return await self._db.run(work)
            except Exception as error:
                tries += 1
                if not is_transient(error) or tries >= _SETTLE_TRIES:
                    raise
            await asyncio.sleep(0.1 * 2.0**tries)


def sweep_job(*, db: Database, unit_of_work: Callable[[AsyncConnection], UnitOfWork], clock: Clock) -> Job:
    """Drop deliveries that a crashed worker left for ended subscriptions, and set the gauges of deliveries and subscriptions."""

    async def run() -> bool:
        now = clock.now()
        async with db.transaction() as tx:
            store = unit_of_work(tx).deliveries
            await store.drop_orphans(now=now)
            counts = await store.counts()
            oldest = await store.oldest_open()
        for state in SUBSCRIPTION_STATES:
            SUBSCRIPTIONS.labels(state).set(counts["subscriptions"].get(state, 0))
        for state in OPEN_STATES:
            DELIVERIES_OPEN.labels(state).set(counts["deliveries"].get(state, 0))
        OLDEST.set(0 if oldest is None else max(0.0, (now - oldest).total_seconds()))
        return False

    return Job("webhooks.sweep", _SWEEP_S, run)
