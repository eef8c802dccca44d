"""The signing worker and the continuous checks. Any number of signers may run them at once."""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import Batches
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, is_transient
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import BREACHES, CHECKED_AT, CREDENTIAL_EXPIRES
from prizewire_chassis.metrics.definitions import show
from prizewire_chassis.tracing import calling, continued, traces_of
from prizewire_money import AssetRegistry
from prizewire_signer.errors import BackendError, BindingRace
from prizewire_signer.handlers.closing import hold_contradicted
from prizewire_signer.handlers.signing import Decision, Order, Outcome, SigningContext, decide, finish, sign
from prizewire_signer.metrics import (
    BACKEND_FAILURES,
    LIMIT_CEILING,
    LIMIT_USED,
    NOT_FREE_YET,
    OLDEST_S,
    REFUSALS,
    SIGN_SECONDS,
    SIGNATURES,
    WAITING,
)
from prizewire_signer.ports import Backend, QueueState, UnitOfWork

RACES_MAX = 5
"""How often a decision is repeated in a row because another signer bound a payout in between."""
SIGNING_INTERVAL_S = 0.5
SIGNING_JOB = "signer.sign"
CHECK_INTERVAL_S = 15.0
REFUSALS_INTERVAL_S = 15.0
TOKEN_INTERVAL_S = 60.0
OPENBAO = "openbao"
_log = get_logger(__name__)


class SigningWorker:
    """Processes one request after the other, from decision to answer. One that cannot be read or handled is postponed, so that
    the requests behind it go on at once.
    """

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        unit_of_work: Callable[[AsyncConnection], UnitOfWork],
        context: SigningContext,
        backend: Backend,
    ) -> None:
        self._db = db
        self._clock = clock
        self._unit_of_work = unit_of_work
        self._context = context
        self._backend = backend
        self._claims = Batches(SIGNING_JOB, db=db, clock=clock)

    async def run_once(self) -> bool:
        """One request; False when nothing is due.

        Raises:
            BackendError: a recorded digest could not be signed now; it is tried again after its lease.
            Exception: the database is not available.
        """

        async def claim(tx: AsyncConnection) -> int | None:
            return await self._unit_of_work(tx).signing.claim(
                now=self._clock.now(), lease_s=self._context.lease_s
            )

        claimed = [work_id for work_id in await self._claims.run(claim) if work_id is not None]
        for work_id in claimed:
            try:
                await self._process(work_id)
            except Exception as error:
                if isinstance(error, BackendError) or is_transient(error):
                    raise
                self._claims.postpone(work_id, error)
        return bool(claimed)

    async def _process(self, work_id: int) -> None:
        decision, traceparent = await self._decide(work_id)
        if decision.slot is None:
            return
        with continued(traceparent, correlation_id=decision.slot):
            if decision.outcome is Outcome.REFUSED and decision.findings is not None:
                REFUSALS.labels(decision.findings.first).inc()
                _log.warning("refused", code=decision.findings.first)
            if decision.order is not None:
                await self._sign(decision.order)

    async def _decide(self, work_id: int) -> tuple[Decision, str]:
        """The decision and its record, committed before a key is used; and the trace that the slot's events continue."""

        async def work(tx: AsyncConnection) -> tuple[Decision, str]:
            decision = await decide(
                context=self._context,
                unit_of_work=self._unit_of_work(tx),
                work_id=work_id,
                now=self._clock.now(),
            )
            slot = decision.slot or ""
            return decision, (await traces_of(tx, [slot]))[slot]

        for _ in range(RACES_MAX - 1):
            try:
                return await self._db.run(work)
            except BindingRace:
                continue
        return await self._db.run(work)

    async def _sign(self, order: Order) -> None:
        started = time.perf_counter()
        try:
            with calling("sign", kind=order.request.kind) as span:
                try:
                    signatures = await sign(context=self._context, backend=self._backend, order=order)
                except BackendError as error:
                    span.error = error.code
                    raise
        except BackendError as error:
            BACKEND_FAILURES.labels(error.code).inc()
            raise

        async def work(tx: AsyncConnection) -> bool:
            return await finish(
                unit_of_work=self._unit_of_work(tx),
                order=order,
                signatures=signatures,
                now=self._clock.now(),
            )

        if await self._db.run(work):
            SIGNATURES.labels(order.request.kind).inc()
            SIGN_SECONDS.observe(time.perf_counter() - started)


def signing_job(worker: SigningWorker) -> Job:
    """The worker as a job."""
    return Job(SIGNING_JOB, SIGNING_INTERVAL_S, worker.run_once)


def check_job(
    *,
    db: Database,
    clock: Clock,
    breaches_of: Callable[[AsyncConnection, datetime], Awaitable[Mapping[str, list[str]]]],
    queue_state: Callable[[AsyncConnection, datetime], Awaitable[QueueState]],
    assets: AssetRegistry,
) -> Job:
    """Runs every invariant's check and keeps the gauges; a breach is an error in the log. The limit of an asset that is not
    configured any more is not shown, since its decimals are unknown.
    """

    async def run() -> bool:
        async with db.transaction(limited=False) as tx:
            now = clock.now()
            breaches = await breaches_of(tx, now)
            state = await queue_state(tx, now)
        for name, found in breaches.items():
            BREACHES.labels(name).set(len(found))
            CHECKED_AT.labels(name).set_to_current_time()
            if found:
                _log.error("invariant broken", invariant=name, breaches=found[:20])
        WAITING.set(state.waiting)
        OLDEST_S.set(state.oldest_s)
        NOT_FREE_YET.set(state.not_free_yet)
        # a ceiling of nothing is used up
        show(LIMIT_USED, {(*key,): use / most if most else 1.0 for key, (use, most) in state.limits.items()})
        show(
            LIMIT_CEILING,
            {
                (scope, asset): most / assets[asset].scale
                for (scope, asset), (_, most) in state.limits.items()
                if asset in assets
            },
        )
        return False

    return Job("signer.checks", CHECK_INTERVAL_S, run)


def token_job(*, token_expires_at: Callable[[], Awaitable[datetime | None]]) -> Job:
    """Keeps the gauge of the end of the server's token. While the server does not answer, the last known end stays: a token that
    has ended is refused, and its end is what a person must see.
    """

    async def run() -> bool:
        try:
            ends = await token_expires_at()
        except BackendError as error:
            _log.warning("the end of the token is not known", code=error.code)
            return False
        _show_token_end(ends)
        return False

    return Job("signer.token", TOKEN_INTERVAL_S, run)


def _show_token_end(ends: datetime | None) -> None:
    """Set the gauge; no series for a token without an end."""
    if ends is not None:
        CREDENTIAL_EXPIRES.labels("token", OPENBAO).set(ends.timestamp())
        return
    with suppress(KeyError):
        CREDENTIAL_EXPIRES.remove("token", OPENBAO)


def refusals_job(*, db: Database, clock: Clock, unit_of_work: Callable[[AsyncConnection], UnitOfWork]) -> Job:
    """Publishes the counts of messages that were refused before they became requests, since the signer serves none over HTTP;
    and holds the slots about which one of them contradicts an earlier report.
    """

    async def run() -> bool:
        async def hold(tx: AsyncConnection) -> int:
            return await hold_contradicted(unit_of_work=unit_of_work(tx))

        held = await db.run(hold)
        if held:
            _log.error("slots have two reports, of which one is false: their payouts stay bound", slots=held)

        async def work(tx: AsyncConnection) -> int:
            return await unit_of_work(tx).refusals.publish(now=clock.now())

        kinds = await db.run(work)
        if kinds:
            _log.warning("messages were refused", kinds=kinds)
        return False

    return Job("signer.refusals", REFUSALS_INTERVAL_S, run)
