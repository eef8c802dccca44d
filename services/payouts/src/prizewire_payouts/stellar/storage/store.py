"""The store port: one transaction for each method."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_payouts.stellar.domain.model import Attempt, LookUp, SlotView
from prizewire_payouts.stellar.domain.states import AttemptState
from prizewire_payouts.stellar.ports import BuildPlan, Leased
from prizewire_payouts.stellar.storage import leasing, outcomes
from prizewire_payouts.stellar.storage.context import Context
from prizewire_payouts.stellar.storage.rows import due_attempts, first_due

T = TypeVar("T")


class StellarStore:
    """``prizewire_payouts.stellar.ports.Store`` over PostgreSQL."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._enlisted = False

    async def _run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        return await self._context.db.run(work)

    async def lease(self, *, now: datetime) -> Leased:
        """Take a free channel and queued payments of one memo."""
        if not self._enlisted:
            await self._run(lambda tx: leasing.enlist_channels(tx, self._context.channels))
            self._enlisted = True
        return await self._run(lambda tx: leasing.lease(tx, self._context, now=now))

    async def in_state(self, *states: AttemptState, now: datetime) -> list[Attempt]:
        """Attempts in these states that are due."""

        async def work(tx: AsyncConnection) -> list[Attempt]:
            rows = await due_attempts(tx, states, now=now)
            leased = AttemptState.LEASED in states
            return await leasing.load(tx, self._context, rows, with_payments=leased)

        return await self._run(work)

    async def next_due(self, state: AttemptState) -> datetime | None:
        """When the first attempt in this state is due."""
        return await self._run(lambda tx: first_due(tx, state))

    async def release(
        self,
        attempt: Attempt,
        *,
        ejected: Mapping[UUID, str],
        retry_at: datetime,
        rest: tuple[datetime, str] | None,
        now: datetime,
    ) -> bool:
        """Leased → released."""
        return await self._run(
            lambda tx: leasing.release(
                tx, self._context, attempt, ejected=ejected, retry_at=retry_at, rest=rest, now=now
            )
        )

    async def postpone(self, attempt_id: int, *, until: datetime) -> None:
        """Look at this attempt again at ``until``."""
        await self._run(lambda tx: leasing.postpone(tx, attempt_id, until=until))

    async def commit_built(self, attempt: Attempt, *, plan: BuildPlan, now: datetime) -> bool:
        """Leased → built."""
        return await self._run(
            lambda tx: leasing.commit_built(tx, self._context, attempt, plan=plan, now=now)
        )

    async def commit_sent(self, attempt: Attempt, *, ledger: int, due: datetime, now: datetime) -> bool:
        """Signed → sent."""
        return await self._run(
            lambda tx: outcomes.commit_sent(tx, self._context, attempt, ledger=ledger, due=due, now=now)
        )

    async def note_asked(self, attempt: Attempt, *, ledger: int, due: datetime) -> None:
        """Sent → sent."""
        await self._run(lambda tx: outcomes.note_asked(tx, attempt, ledger=ledger, due=due))

    async def to_checking(self, attempt: Attempt, *, detail: str, now: datetime) -> bool:
        """built, exported, signed or sent → checking."""
        return await self._run(
            lambda tx: outcomes.to_checking(tx, self._context, attempt, detail=detail, now=now)
        )

    async def succeed(self, attempt: Attempt, *, look_up: LookUp, now: datetime) -> bool:
        """→ succeeded."""
        return await self._run(
            lambda tx: outcomes.succeed(tx, self._context, attempt, look_up=look_up, now=now)
        )

    async def fail(
        self, attempt: Attempt, *, look_up: LookUp, codes: Mapping[int, str], now: datetime
    ) -> bool:
        """→ failed."""
        return await self._run(
            lambda tx: outcomes.fail(tx, self._context, attempt, look_up=look_up, codes=codes, now=now)
        )

    async def die(self, attempt: Attempt, *, detail: str, now: datetime) -> bool:
        """Checking → dead."""
        return await self._run(lambda tx: outcomes.die(tx, self._context, attempt, detail=detail, now=now))

    async def to_review(self, attempt: Attempt, *, detail: str, now: datetime) -> bool:
        """Checking → review."""
        return await self._run(
            lambda tx: outcomes.to_review(tx, self._context, attempt, detail=detail, now=now)
        )

    async def slot(self, slot_id: UUID) -> SlotView:
        """A slot with every digest built on it."""
        return await self._run(lambda tx: outcomes.slot_view(tx, slot_id))
