"""Work that time and other work bring about: calling rails, following what was sent, telling what expired.

A rail's worker keeps as many calls under way as the rail allows. Every call follows the same three steps: its
attempt is committed, the rail is called, its answer is committed. What is lost between two steps is found again
by its key, because the attempt's lease runs out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import is_transient
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import correlated, get_logger
from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import CancelOutcome, Outcome, PayoutInstruction, ProviderResult
from prizewire_payouts.approval.domain import Schedule
from prizewire_payouts.metrics import RAIL_CALLS, RAIL_SECONDS, SURPRISES
from prizewire_payouts.payouts.handlers.housekeeping import reroute, tell_expired
from prizewire_payouts.payouts.handlers.outcomes import Answer, Look, Surprise, record_answers, take_watched
from prizewire_payouts.payouts.handlers.submission import commit_attempts
from prizewire_payouts.payouts.ports import IntentCheck, Rail, Store, Transactions, Vault

_IDLE_S = 0.5
_HOUSEKEEPING_S = 5.0
_UNKNOWN = ProviderResult(outcome=Outcome.UNKNOWN, code=PayoutCode.OUTCOME_UNKNOWN)
_log = get_logger(__name__)

OnSurprise = Callable[[Surprise], Awaitable[None]]


@dataclass(slots=True)
class _Calls:
    """Calls under way and answers that are not stored yet."""

    under_way: set[asyncio.Task[Answer | None]] = field(default_factory=set)
    answered: list[Answer] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, calls: Sequence[Coroutine[Any, Any, Answer | None]]) -> None:
        self.under_way.update(asyncio.create_task(call) for call in calls)

    async def collect(self, *, timeout_s: float) -> None:
        """Wait until a call has ended or there is other news."""
        if not self.under_way:
            return
        listening = asyncio.create_task(self.news.wait())
        try:
            await asyncio.wait(
                {*self.under_way, listening}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            listening.cancel()
        self.news.clear()
        done = {task for task in self.under_way if task.done()}
        self.under_way -= done
        self.answered.extend(answer for task in done if (answer := task.result()) is not None)


class RailWorker:
    """Submits payouts to one rail and follows them to their end."""

    def __init__(
        self,
        *,
        rail: Rail,
        transactions: Transactions,
        vault: Vault,
        intents: IntentCheck,
        schedule: Schedule,
        clock: Clock,
        call_timeout: timedelta,
        on_surprise: OnSurprise,
    ) -> None:
        self._rail = rail
        self._transactions = transactions
        self._vault = vault
        self._intents = intents
        self._schedule = schedule
        self._clock = clock
        self._call_timeout = call_timeout
        self._on_surprise = on_surprise
        self._slots = asyncio.Semaphore(rail.capabilities.concurrency)
        self._sending = _Calls()
        self._looking = _Calls()
        self.jobs = (
            Job(f"payouts.submit.{rail.name}", _IDLE_S, self.submit),
            Job(f"payouts.watch.{rail.name}", _IDLE_S, self.watch),
        )

    def wake(self) -> None:
        """There is something to submit or to look at."""
        self._sending.news.set()
        self._looking.news.set()
        for job in self.jobs:
            job.wake()

    async def submit(self) -> bool:
        """Commit attempts, call the rail, store its answers; True while there is more to do."""
        # one round of calls is committed ahead, so that the rail never waits for our database
        room = 2 * self._rail.capabilities.concurrency - len(self._sending.under_way)
        if room > 0 and not self._sending.answered:
            now = self._clock.now()

            async def take(store: Store) -> list[PayoutInstruction]:
                return await commit_attempts(
                    store,
                    rail=self._rail,
                    vault=self._vault,
                    intents=self._intents,
                    schedule=self._schedule,
                    now=now,
                    limit=room,
                )

            instructions = await self._transactions.run(take)
            self._sending.begin([self._create(instruction, begun=now) for instruction in instructions])
        return await self._go_on(self._sending)

    async def watch(self) -> bool:
        """Ask the rail about payments under way, store its answers; True while there is more to do."""
        room = self._rail.capabilities.concurrency - len(self._looking.under_way)
        if room > 0 and not self._looking.answered:
            now = self._clock.now()

            async def take(store: Store) -> list[Look]:
                return await take_watched(
                    store, rail=self._rail, schedule=self._schedule, now=now, limit=room
                )

            looks = await self._transactions.run(take)
            self._looking.begin([self._look(look, begun=now) for look in looks])
        return await self._go_on(self._looking)

    async def drain(self) -> None:
        """Let calls under way end, and store what they answered."""
        for calls in (self._sending, self._looking):
            while await self._go_on(calls):
                continue

    async def _go_on(self, calls: _Calls) -> bool:
        await calls.collect(timeout_s=_IDLE_S)
        if calls.answered:
            await self._record(calls.answered)
            calls.answered.clear()
        return bool(calls.under_way)

    async def _record(self, answers: Sequence[Answer]) -> None:
        """Store answers. One that cannot be stored must not hold up the others: it proves nothing."""
        try:
            await self._store(answers)
        except Exception as error:
            if is_transient(error) or (len(answers) == 1 and answers[0].result is _UNKNOWN):
                raise
            if len(answers) > 1:
                for answer in answers:
                    await self._record([answer])
                return
            SURPRISES.labels(self._rail.name).inc()
            _log.exception(
                "a rail's answer cannot be stored",
                rail=self._rail.name,
                payout_id=str(answers[0].payout_id),
                attempt_no=answers[0].attempt_no,
            )
            await self._store([replace(answers[0], result=_UNKNOWN)])

    async def _store(self, answers: Sequence[Answer]) -> None:
        now = self._clock.now()

        async def store_answers(store: Store) -> list[Surprise]:
            return await record_answers(store, answers, rail=self._rail, schedule=self._schedule, now=now)

        for surprise in await self._transactions.run(store_answers):
            SURPRISES.labels(self._rail.name).inc()
            _log.error(
                "a rail told what cannot be",
                rail=self._rail.name,
                payout_id=str(surprise.payout_id),
                correlation_id=surprise.correlation_id,
                attempt_no=surprise.attempt_no,
                detail=surprise.detail,
            )
            await self._on_surprise(surprise)

    async def _create(self, instruction: PayoutInstruction, *, begun: datetime) -> Answer | None:
        async with self._slots:
            if self._too_late(begun):
                # somebody else may look it up already: nothing is sent under this lease any more
                return None
            provider = self._rail.provider
            with correlated(correlation_id=instruction.correlation_id, payout_id=str(instruction.payout_id)):
                result = await self._call(
                    "create", lambda: provider.create_payout(instruction, now=self._clock.now())
                )
        return Answer(payout_id=instruction.payout_id, attempt_no=instruction.attempt_no, result=result)

    async def _look(self, look: Look, *, begun: datetime) -> Answer | None:
        reference, provider = look.reference, self._rail.provider
        said: str | None = None
        async with self._slots:
            if self._too_late(begun):
                return None
            if look.cancel:
                said = await self._cancel(look)
            if said == CancelOutcome.CANCELLED:
                result = ProviderResult(outcome=Outcome.NO_EFFECT, code=PayoutCode.CANCELLED)
            else:
                with correlated(payout_id=str(reference.payout_id)):
                    result = await self._call(
                        "look", lambda: provider.sync_status(reference, now=self._clock.now())
                    )
        # a wish that the rail could not answer stays a wish
        settled = None if said == CancelOutcome.UNKNOWN else said
        return Answer(
            payout_id=reference.payout_id,
            attempt_no=reference.attempt_no,
            result=result,
            cancel_answer=settled,
        )

    async def _cancel(self, look: Look) -> str:
        try:
            async with asyncio.timeout(self._call_timeout.total_seconds()):
                return await self._rail.provider.cancel(look.reference, now=self._clock.now())
        except Exception as error:  # noqa: BLE001 - whatever a provider raises, nothing was learnt
            _log.warning("cancel not answered", rail=self._rail.name, error=type(error).__name__)
            return CancelOutcome.UNKNOWN

    async def _call(self, call: str, make: Callable[[], Awaitable[ProviderResult]]) -> ProviderResult:
        """One call within its time. Whatever goes wrong in it leaves the outcome unknown."""
        rail = self._rail.name
        with RAIL_SECONDS.labels(rail, call).time():
            try:
                async with asyncio.timeout(self._call_timeout.total_seconds()):
                    result = await make()
            except Exception as error:  # noqa: BLE001 - whatever a provider raises, the outcome is unknown
                # the text of the error stays out: it may hold personal details
                _log.warning("rail call not answered", rail=rail, call=call, error=type(error).__name__)
                result = _UNKNOWN
        RAIL_CALLS.labels(rail, call, str(result.outcome)).inc()
        return result

    def _too_late(self, begun: datetime) -> bool:
        return self._clock.now() > begun + self._schedule.lease - self._call_timeout


def housekeeping_job(
    *,
    transactions: Transactions,
    rails: Sequence[Rail],
    clock: Clock,
    measure: Callable[[datetime], Awaitable[None]],
) -> Job:
    """Tells rewards of expired intents, routes anew what lost its rail, and measures."""

    async def run() -> bool:
        now = clock.now()

        async def expire(store: Store) -> bool:
            return await tell_expired(store, now=now)

        async def route(store: Store) -> bool:
            return await reroute(store, rails=rails, now=now)

        more = await transactions.run(expire)
        more = await transactions.run(route) or more
        await measure(now)
        return more

    return Job("payouts.housekeeping", _HOUSEKEEPING_S, run)
