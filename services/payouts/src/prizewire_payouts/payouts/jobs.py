"""The workers of rails, and housekeeping.

A rail's worker keeps as many calls under way as the rail allows. Every call takes three steps: its attempt is committed,
the rail is called, its answer is committed. A payment that is lost between two steps is looked up by its key, once the
attempt's lease has ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import Batches
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, is_transient
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import correlated, get_logger
from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import CancelOutcome, Outcome, PayoutInstruction, ProviderResult
from prizewire_payouts.methods.ports import Vault
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.metrics import IMPOSSIBLE_OUTCOMES, RAIL_CALLS, RAIL_SECONDS
from prizewire_payouts.payouts.handlers.outcomes import Answer, ImpossibleOutcome, record_answers
from prizewire_payouts.payouts.handlers.requests import hold_all_expired, route_again
from prizewire_payouts.payouts.handlers.submission import open_attempts
from prizewire_payouts.payouts.handlers.watching import Schedule, StatusQuery, claim_status_queries
from prizewire_payouts.payouts.ports import IntentCheck
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.unit_of_work import UnitOfWorkFactory

_IDLE_S = 0.5
_HOUSEKEEPING_S = 5.0
_UNKNOWN = ProviderResult(outcome=Outcome.UNKNOWN, code=PayoutCode.OUTCOME_UNKNOWN)
_log = get_logger(__name__)

OnImpossibleOutcome = Callable[[ImpossibleOutcome], Awaitable[None]]


@dataclass(slots=True)
class _Calls:
    """Calls under way and answers that are not stored yet."""

    under_way: set[asyncio.Task[Answer | None]] = field(default_factory=set)
    answered: list[Answer] = field(default_factory=list)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, calls: Sequence[Coroutine[Any, Any, Answer | None]]) -> None:
        self.under_way.update(asyncio.create_task(call) for call in calls)

    async def collect(self, *, timeout_s: float) -> None:
        """Wait until a call has ended, the worker is woken, or the time is over."""
        if not self.under_way:
            return
        waiting = asyncio.create_task(self.woken.wait())
        try:
            await asyncio.wait(
                {*self.under_way, waiting}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        self.woken.clear()
        done = {task for task in self.under_way if task.done()}
        self.under_way -= done
        self.answered.extend(answer for task in done if (answer := task.result()) is not None)


class RailWorker:
    """Submits payouts to one rail and looks them up until they end."""

    def __init__(
        self,
        *,
        rail: Rail,
        db: Database,
        unit_of_work: UnitOfWorkFactory,
        vault: Vault,
        intents: IntentCheck,
        schedule: Schedule,
        clock: Clock,
        call_timeout: timedelta,
        on_impossible_outcome: OnImpossibleOutcome,
    ) -> None:
        self._rail = rail
        self._db = db
        self._unit_of_work = unit_of_work
        self._vault = vault
        self._intents = intents
        self._schedule = schedule
        self._clock = clock
        self._call_timeout = call_timeout
        self._on_impossible_outcome = on_impossible_outcome
        self._slots = asyncio.Semaphore(rail.capabilities.concurrency)
        self._sending = _Calls()
        self._looking = _Calls()
        self.jobs = (
            Job(f"payouts.submit.{rail.name}", _IDLE_S, self.submit),
            Job(f"payouts.watch.{rail.name}", _IDLE_S, self.watch),
        )
        self._submitted, self._watched = (Batches(job.name, db=db, clock=clock) for job in self.jobs)

    def wake(self) -> None:
        """There are payouts to submit or to look up."""
        self._sending.woken.set()
        self._looking.woken.set()
        for job in self.jobs:
            job.wake()

    async def submit(self) -> bool:
        """Open attempts, call the rail, store its answers; True while there is more to do."""
        # as many attempts again are committed ahead, so that the rail does not wait for the database
        room = 2 * self._rail.capabilities.concurrency - len(self._sending.under_way)
        if room > 0 and not self._sending.answered:
            now = self._clock.now()

            async def claim(tx: AsyncConnection) -> list[PayoutInstruction]:
                unit_of_work = self._unit_of_work(tx)
                return await open_attempts(
                    PayoutStorage(unit_of_work),
                    MethodStorage(unit_of_work),
                    rail=self._rail,
                    vault=self._vault,
                    intents=self._intents,
                    schedule=self._schedule,
                    now=now,
                    limit=room,
                )

            claimed = await self._submitted.run(claim)
            self._sending.begin([self._create(one, begun=now) for batch in claimed for one in batch])
        return await self._collect(self._sending)

    async def watch(self) -> bool:
        """Ask the rail about payments under way, store its answers; True while there is more to do."""
        room = self._rail.capabilities.concurrency - len(self._looking.under_way)
        if room > 0 and not self._looking.answered:
            now = self._clock.now()

            async def claim(tx: AsyncConnection) -> list[StatusQuery]:
                return await claim_status_queries(
                    PayoutStorage(self._unit_of_work(tx)),
                    rail=self._rail,
                    schedule=self._schedule,
                    now=now,
                    limit=room,
                )

            claimed = await self._watched.run(claim)
            self._looking.begin([self._look_up(query, begun=now) for batch in claimed for query in batch])
        return await self._collect(self._looking)

    async def drain(self) -> None:
        """Wait for the calls under way, and store their answers."""
        for calls in (self._sending, self._looking):
            while await self._collect(calls):
                continue

    async def _collect(self, calls: _Calls) -> bool:
        await calls.collect(timeout_s=_IDLE_S)
        if calls.answered:
            await self._record(calls.answered)
            calls.answered.clear()
        return bool(calls.under_way)

    async def _record(self, answers: Sequence[Answer]) -> None:
        """Store answers. An answer that cannot be stored is stored as unknown, so that it does not block the others. Where
        not even that can be stored, the rail is asked again, once the attempt's lease has ended.
        """
        try:
            await self._store(answers)
        except Exception as error:
            if is_transient(error):
                raise
            if len(answers) > 1:
                for answer in answers:
                    await self._record([answer])
                return
            IMPOSSIBLE_OUTCOMES.labels(self._rail.name).inc()
            _log.exception(
                "a rail's answer cannot be stored",
                rail=self._rail.name,
                payout_id=str(answers[0].payout_id),
                attempt_no=answers[0].attempt_no,
            )
            if answers[0].result is not _UNKNOWN:
                await self._record([replace(answers[0], result=_UNKNOWN)])

    async def _store(self, answers: Sequence[Answer]) -> None:
        now = self._clock.now()

        async def store(tx: AsyncConnection) -> list[ImpossibleOutcome]:
            return await record_answers(
                PayoutStorage(self._unit_of_work(tx)),
                answers,
                rail=self._rail,
                schedule=self._schedule,
                now=now,
            )

        for outcome in await self._db.run(store):
            IMPOSSIBLE_OUTCOMES.labels(self._rail.name).inc()
            _log.error(
                "impossible rail outcome",
                rail=self._rail.name,
                payout_id=str(outcome.payout_id),
                correlation_id=outcome.correlation_id,
                attempt_no=outcome.attempt_no,
                detail=outcome.detail,
            )
            await self._on_impossible_outcome(outcome)

    async def _create(self, instruction: PayoutInstruction, *, begun: datetime) -> Answer | None:
        async with self._slots:
            if self._too_late(begun):
                # another process may have looked it up already: nothing is sent once the lease is nearly over
                return None
            provider = self._rail.provider
            with correlated(correlation_id=instruction.correlation_id, payout_id=str(instruction.payout_id)):
                result = await self._call(
                    "create", lambda: provider.create_payout(instruction, now=self._clock.now())
                )
        return Answer(payout_id=instruction.payout_id, attempt_no=instruction.attempt_no, result=result)

    async def _look_up(self, query: StatusQuery, *, begun: datetime) -> Answer | None:
        reference, provider = query.reference, self._rail.provider
        cancel_answer: str | None = None
        async with self._slots:
            if self._too_late(begun):
                return None
            if query.cancel:
                cancel_answer = await self._cancel(query)
            if cancel_answer == CancelOutcome.CANCELLED:
                result = ProviderResult(outcome=Outcome.NO_EFFECT, code=PayoutCode.CANCELLED)
            else:
                with correlated(payout_id=str(reference.payout_id)):
                    result = await self._call(
                        "look", lambda: provider.sync_status(reference, now=self._clock.now())
                    )
        return Answer(
            payout_id=reference.payout_id,
            attempt_no=reference.attempt_no,
            result=result,
            # without a clear answer the rail is asked to cancel again
            cancel_answer=None if cancel_answer == CancelOutcome.UNKNOWN else cancel_answer,
        )

    async def _cancel(self, query: StatusQuery) -> str:
        try:
            async with asyncio.timeout(self._call_timeout.total_seconds()):
                return await self._rail.provider.cancel(query.reference, now=self._clock.now())
        except Exception as error:  # noqa: BLE001 - whatever a provider raises, its answer is unknown
            _log.warning("the rail did not answer a cancel", rail=self._rail.name, error=type(error).__name__)
            return CancelOutcome.UNKNOWN

    async def _call(self, call: str, make: Callable[[], Awaitable[ProviderResult]]) -> ProviderResult:
        """One call with its time limit. Any failure leaves the outcome unknown."""
        rail = self._rail.name
        with RAIL_SECONDS.labels(rail, call).time():
            try:
                async with asyncio.timeout(self._call_timeout.total_seconds()):
                    result = await make()
            except Exception as error:  # noqa: BLE001 - whatever a provider raises, the outcome is unknown
                # the text of the error stays out: it may hold personal details
                _log.warning(
                    "the rail did not answer a call", rail=rail, call=call, error=type(error).__name__
                )
                result = _UNKNOWN
        RAIL_CALLS.labels(rail, call, str(result.outcome)).inc()
        return result

    def _too_late(self, begun: datetime) -> bool:
        return self._clock.now() > begun + self._schedule.lease - self._call_timeout


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
