"""The workers of rails, and housekeeping.

A rail's worker keeps as many calls under way as the rail allows. Every call takes three steps: its attempt is committed,
the rail is called, its answer is committed. A payment that is lost between two steps is looked up by its key, once the
attempt's lease has ended.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import Batches
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, is_transient
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_chassis.tracing import calling, continued, traces_of
from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import (
    CancelOutcome,
    Outcome,
    PayoutInstruction,
    ProviderResult,
    QuoteRequest,
)
from prizewire_payouts.methods.ports import Vault
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.metrics import IMPOSSIBLE_OUTCOMES, RAIL_CALLS, RAIL_CIRCUIT, RAIL_SECONDS, begin_rail
from prizewire_payouts.payouts.handlers.outcomes import Answer, ImpossibleOutcome, record_answers
from prizewire_payouts.payouts.handlers.submission import open_attempts
from prizewire_payouts.payouts.handlers.watching import Schedule, StatusQuery, claim_status_queries
from prizewire_payouts.payouts.jobs.calls import Calls, Pace, Turns
from prizewire_payouts.payouts.jobs.second_payments import SecondPayments
from prizewire_payouts.payouts.ports import Clearance, IntentCheck, RailPermission
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.quotes.handlers import ask_rail
from prizewire_payouts.rails.domain import Circuit, CircuitState
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.unit_of_work import UnitOfWork, UnitOfWorkFactory

_IDLE_S = 0.5
_UNKNOWN = ProviderResult(outcome=Outcome.UNKNOWN, code=PayoutCode.OUTCOME_UNKNOWN)
_log = get_logger(__name__)

_CIRCUIT_LEVELS = {CircuitState.CLOSED: 0, CircuitState.PROBING: 1, CircuitState.OPEN: 2}

OnImpossibleOutcome = Callable[[ImpossibleOutcome], Awaitable[None]]


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
        permission: Callable[[UnitOfWork], RailPermission],
        clearance: Callable[[UnitOfWork], Clearance],
        schedule: Schedule,
        clock: Clock,
        call_timeout: timedelta,
        on_impossible_outcome: OnImpossibleOutcome,
        rails: Sequence[Rail] = (),
        circuit: Circuit | None = None,
    ) -> None:
        self._rail = rail
        self._rails = rails
        self._db = db
        self._unit_of_work = unit_of_work
        self._vault = vault
        self._intents = intents
        self._permission = permission
        self._clearance = clearance
        self._schedule = schedule
        self._clock = clock
        self._call_timeout = call_timeout
        self._on_impossible_outcome = on_impossible_outcome
        self._circuit = Circuit() if circuit is None else circuit
        self._second_payments = SecondPayments()
        self._pace = Pace()
        self._turns = Turns(rail.capabilities.calls_per_s)
        # half of the time in which a call may begin: the rest is for what the database and the rail take
        self._turn_within_s = max((schedule.lease - call_timeout).total_seconds(), 0) / 2
        self._slots = asyncio.Semaphore(rail.capabilities.concurrency)
        self._sending = Calls()
        self._looking = Calls()
        self.jobs = (
            Job(f"payouts.submit.{rail.name}", _IDLE_S, self.submit),
            Job(f"payouts.watch.{rail.name}", _IDLE_S, self.watch),
        )
        begin_rail(rail.name)
        self._submitted, self._watched = (Batches(job.name, db=db, clock=clock) for job in self.jobs)

    def wake(self) -> None:
        """There are payouts to submit or to look up."""
        self._sending.woken.set()
        self._looking.woken.set()
        for job in self.jobs:
            job.wake()

    async def submit(self) -> bool:
        """Open attempts, call the rail, store its answers; True while there is more to do.

        Attempts are opened in one transaction while answers are stored in another. Where answers could not be stored, no attempt is
        opened until they are.
        """
        calls, capabilities = self._sending, self._rail.capabilities
        await calls.collect(timeout_s=_IDLE_S, linger_s=self._pace.linger_s)
        ahead = self._pace.ahead(capabilities)
        most = self._pace.open_max(capabilities, within_s=self._turn_within_s)
        room = most - len(calls.under_way)
        # half of what is ahead at one time: fewer and larger transactions
        opening = not calls.unstored and (not calls.under_way or 2 * room >= min(ahead, most))
        began = time.perf_counter()
        opened, stored = await asyncio.gather(
            self._open(self._admitted(room if opening else 0)),
            self._store_answered(calls),
            return_exceptions=True,
        )
        for result in (opened, stored):
            if isinstance(result, BaseException):
                raise result
        if opened or stored:
            self._pace.note_storing(time.perf_counter() - began)
        return bool(calls.under_way)

    async def _open(self, room: int) -> bool:
        """Open up to ``room`` attempts and begin their calls; returns whether there were any."""
        if room <= 0:
            return False
        now = self._clock.now()

        async def claim(tx: AsyncConnection) -> list[tuple[PayoutInstruction, str]]:
            unit_of_work = self._unit_of_work(tx)
            opened = await open_attempts(
                PayoutStorage(unit_of_work),
                MethodStorage(unit_of_work),
                self._clearance(unit_of_work),
                rail=self._rail,
                vault=self._vault,
                intents=self._intents,
                permission=self._permission(unit_of_work),
                schedule=self._schedule,
                now=now,
                limit=room,
            )
            traces = await traces_of(tx, {one.correlation_id for one in opened})
            return [(one, traces[one.correlation_id]) for one in opened]

        claimed = await self._submitted.run(claim)
        calls = [self._create(one, begun=now, traceparent=trace) for batch in claimed for one, trace in batch]
        self._sending.begin(calls)
        return bool(calls)

    async def watch(self) -> bool:
        """Ask the rail about payments under way, store its answers; True while there is more to do."""
        most = self._rail.capabilities.concurrency
        if len(self._sending.under_way) > most:
            # payments are waiting for the rail: they come before looks, most of which are at payments that are made
            most = max(1, most // 4)
        most = min(most, self._pace.open_max(self._rail.capabilities, within_s=self._turn_within_s))
        room = most - len(self._looking.under_way)
        if room > 0 and not self._looking.unstored:
            now = self._clock.now()

            async def claim(tx: AsyncConnection) -> list[tuple[StatusQuery, str]]:
                queries = await claim_status_queries(
                    PayoutStorage(self._unit_of_work(tx)),
                    rail=self._rail,
                    schedule=self._schedule,
                    now=now,
                    limit=room,
                )
                traces = await traces_of(tx, {query.correlation_id for query in queries})
                return [(query, traces[query.correlation_id]) for query in queries]

            claimed = await self._watched.run(claim)
            self._looking.begin(
                [
                    self._look_up(query, begun=now, traceparent=trace)
                    for batch in claimed
                    for query, trace in batch
                ]
            )
        return await self._collect(self._looking)

    async def drain(self) -> None:
        """Wait for the calls under way, and store their answers."""
        for calls in (self._sending, self._looking):
            while await self._collect(calls):
                continue

    async def _collect(self, calls: Calls) -> bool:
        await calls.collect(timeout_s=_IDLE_S)
        await self._store_answered(calls)
        return bool(calls.under_way)

    async def _store_answered(self, calls: Calls) -> bool:
        """Store the answers that have come; returns whether there were any. They stay where an error of the database is transient."""
        if not calls.answered:
            return False
        calls.unstored = True
        await self._record(calls.answered)
        calls.answered.clear()
        calls.unstored = False
        return True

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
                correlation_id=answers[0].correlation_id,
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
                rails=self._rails,
                schedule=self._schedule,
                now=now,
            )

        for outcome in await self._db.run(store):
            IMPOSSIBLE_OUTCOMES.labels(self._rail.name).inc()
            if outcome.second_payment:
                self._second_payments.note(payout_id=outcome.payout_id, attempt_no=outcome.attempt_no)
            _log.error(
                "impossible rail outcome",
                rail=self._rail.name,
                payout_id=str(outcome.payout_id),
                correlation_id=outcome.correlation_id,
                attempt_no=outcome.attempt_no,
                detail=outcome.detail,
            )
            await self._on_impossible_outcome(outcome)

    def _admitted(self, room: int) -> int:
        """How many payments may be begun: fewer than there is room for where the rail does not answer."""
        RAIL_CIRCUIT.labels(self._rail.name).set(_CIRCUIT_LEVELS[self._circuit.state])
        return self._circuit.admits(room=room, now=self._clock.now())

    async def _create(
        self, instruction: PayoutInstruction, *, begun: datetime, traceparent: str
    ) -> Answer | None:
        async with self._slots:
            if self._too_late(begun):
                # another process may have looked it up already: nothing is sent once the lease is nearly over
                return None
            provider = self._rail.provider
            correlation_id = instruction.correlation_id
            with continued(traceparent, correlation_id=correlation_id, payout_id=str(instruction.payout_id)):
                code = await self._quote_problem(instruction, begun=begun)
                if code is not None:
                    # nothing was sent for this attempt, and nothing will be
                    result = ProviderResult(outcome=Outcome.NO_EFFECT, code=code)
                    return Answer(
                        payout_id=instruction.payout_id,
                        attempt_no=instruction.attempt_no,
                        result=result,
                        correlation_id=correlation_id,
                    )
                await self._turns.wait()
                if self._too_late(begun):
                    return None
                self._circuit.begun(now=self._clock.now())
                began = time.perf_counter()
                result = await self._call(
                    "create", lambda: provider.create_payout(instruction, now=self._clock.now())
                )
            seconds = time.perf_counter() - began
            self._pace.note_call(seconds)
            self._circuit.answered(clear=_is_clear(result), now=self._clock.now())
        return Answer(
            payout_id=instruction.payout_id,
            attempt_no=instruction.attempt_no,
            result=result,
            latency_ms=round(seconds * 1000),
            correlation_id=correlation_id,
        )

    async def _quote_problem(self, instruction: PayoutInstruction, *, begun: datetime) -> PayoutCode | None:
        """Why a payment is not sent at its quote: the rail is asked again, and must name the same price or a better one. None
        where it does, and for a payment without a quote.
        """
        quoted = instruction.quote
        if quoted is None:
            return None
        request = QuoteRequest(
            debit=quoted.debit,
            pay_asset=quoted.pay.asset,
            method_type=instruction.method_type,
            details=instruction.details,
            memo=instruction.memo,
        )
        await self._turns.wait()
        if self._too_late(begun):
            return None
        try:
            fresh = await ask_rail(self._rail, request, limit=self._call_timeout, now=self._clock.now())
        except Exception as error:  # noqa: BLE001 - whatever a provider raises, it names no price now
            _log.warning("the rail named no price", rail=self._rail.name, error=type(error).__name__)
            return PayoutCode.QUOTE_UNAVAILABLE
        if self._clock.now() >= quoted.expires_at:
            return PayoutCode.QUOTE_EXPIRED
        return PayoutCode.QUOTE_WORSE if fresh.is_worse_than(quoted) else None

    async def _look_up(self, query: StatusQuery, *, begun: datetime, traceparent: str) -> Answer | None:
        reference, provider = query.reference, self._rail.provider
        cancel_answer: str | None = None
        work = continued(traceparent, correlation_id=query.correlation_id, payout_id=str(reference.payout_id))
        async with self._slots:
            with work:
                await self._turns.wait()
                if self._too_late(begun):
                    return None
                if query.cancel:
                    cancel_answer = await self._cancel(query)
                    await self._turns.wait()
                if cancel_answer == CancelOutcome.CANCELLED:
                    result = ProviderResult(outcome=Outcome.NO_EFFECT, code=PayoutCode.CANCELLED)
                else:
                    result = await self._call(
                        "look", lambda: provider.sync_status(reference, now=self._clock.now())
                    )
        return Answer(
            payout_id=reference.payout_id,
            attempt_no=reference.attempt_no,
            result=result,
            # without a clear answer the rail is asked to cancel again
            cancel_answer=None if cancel_answer == CancelOutcome.UNKNOWN else cancel_answer,
            correlation_id=query.correlation_id,
        )

    async def _cancel(self, query: StatusQuery) -> str:
        try:
            with calling("rail cancel", rail=self._rail.name):
                async with asyncio.timeout(self._call_timeout.total_seconds()):
                    return await self._rail.provider.cancel(query.reference, now=self._clock.now())
        except Exception as error:  # noqa: BLE001 - whatever a provider raises, its answer is unknown
            _log.warning("the rail did not answer a cancel", rail=self._rail.name, error=type(error).__name__)
            return CancelOutcome.UNKNOWN

    async def _call(self, call: str, make: Callable[[], Awaitable[ProviderResult]]) -> ProviderResult:
        """One call with its time limit. Any failure leaves the outcome unknown."""
        rail = self._rail.name
        with calling(f"rail {call}", rail=rail) as span, RAIL_SECONDS.labels(rail, call).time():
            try:
                async with asyncio.timeout(self._call_timeout.total_seconds()):
                    result = await make()
            except Exception as error:  # noqa: BLE001 - whatever a provider raises, the outcome is unknown
                # the text of the error stays out: it may hold personal details
                _log.warning(
                    "the rail did not answer a call", rail=rail, call=call, error=type(error).__name__
                )
                result = _UNKNOWN
            span.attributes |= {
                "prizewire.outcome": str(result.outcome),
                "prizewire.code": result.code,
            }
            span.error = result.code if result.outcome is Outcome.UNKNOWN else None
        RAIL_CALLS.labels(rail, call, str(result.outcome)).inc()
        return result

    def _too_late(self, begun: datetime) -> bool:
        return self._clock.now() > begun + self._schedule.lease - self._call_timeout


def _is_clear(result: ProviderResult) -> bool:
    """Whether the rail answered: with any outcome but that it is unknown, or that the rail is unavailable."""
    unavailable = result.outcome is Outcome.NO_EFFECT and result.code == PayoutCode.RAIL_UNAVAILABLE
    return result.outcome is not Outcome.UNKNOWN and not unavailable
