"""The execution with the lifecycle over it: payouts with their states, a worker of the rail, the signer's closures."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_money import Amount
from prizewire_payouts.approval.domain import ApprovalPolicy
from prizewire_payouts.approval.handlers import PolicyClearance
from prizewire_payouts.checks import CHECKS
from prizewire_payouts.gates.adapters import MarkedDestinations, NoDenyList
from prizewire_payouts.gates.domain import GateLimits
from prizewire_payouts.gates.handlers import Gates
from prizewire_payouts.gates.storage import GateStorage
from prizewire_payouts.legal.storage import LegalPermission
from prizewire_payouts.methods.adapters import DetailsVault
from prizewire_payouts.payouts.consumers.requests import ExecutionReports
from prizewire_payouts.payouts.handlers.watching import Schedule
from prizewire_payouts.payouts.jobs.worker import RailWorker
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.unit_of_work import UnitOfWork
from services.payouts.tests.rig import Storages, run_over
from services.payouts.tests.stellar.integration.conftest import World

T = TypeVar("T")

SCHEDULE = Schedule(
    poll=timedelta(milliseconds=100),
    polls_flat=1000,
    poll_max=timedelta(seconds=1),
    retry_first=timedelta(milliseconds=100),
    retry_max=timedelta(milliseconds=200),
    attempts_max=3,
    lease=timedelta(seconds=20),
    returns_watched=timedelta(days=7),
)


class LivedWorld(World):
    """A world in which the payouts' own state machine decides what follows, as it does in the service."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.unit_of_work = partial(
            UnitOfWork,
            assets=self.assets,
            outbox=self.outbox,
            mac=lambda row: hashlib.sha256(row).digest(),
            seals=DetailsVault(key_hex="0" * 64),
        )
        self.reports = ExecutionReports(unit_of_work=self.unit_of_work, schedule=SCHEDULE, clock=self.clock)
        provider = self.parts.provider
        vault: Any = None  # operators' payouts have no method, so that none is opened
        self.impossible: list[Any] = []

        async def note(outcome: Any) -> None:
            self.impossible.append(outcome)

        self.worker = RailWorker(
            rail=Rail(name="stellar", capabilities=provider.capabilities(), provider=provider),
            db=self.db,
            unit_of_work=self.unit_of_work,
            vault=vault,
            intents=lambda payout, method: True,  # the signer checks its own
            permission=partial(LegalPermission, waived=True),
            clearance=lambda unit: PolicyClearance(
                Gates(
                    GateStorage(
                        unit,
                        deny_list=NoDenyList(),
                        destinations=MarkedDestinations({}, mac=lambda **_named: b""),
                    ),
                    limits=GateLimits(),
                ),
                policy=self._everything(),
            ),
            schedule=SCHEDULE,
            clock=self.clock,
            call_timeout=timedelta(seconds=5),
            on_impossible_outcome=note,
        )

    async def _on_progress(self, tx: AsyncConnection, payout_ids: Sequence[UUID], now: datetime) -> None:
        await super()._on_progress(tx, payout_ids, now)
        await self.reports.on_progress(tx, payout_ids, now)

    async def _on_word(self, tx: AsyncConnection, incoming: Any) -> Any:
        closed = incoming.event.type == "prizewire.signing.closed.v1"
        take = self.reports.on_closed if closed else self.reports.on_close_refused
        return await take(tx, incoming)

    def _everything(self) -> ApprovalPolicy:
        """A policy that lets every amount go without a person."""
        most = {code: Amount(asset, 10**15) for code, asset in self.assets.items()}
        return ApprovalPolicy(version=1, automatic_up_to=most, automatic_in_day=most, two_above={})

    async def approved(self, destination: str, cents: int) -> UUID:
        """A payout that may be paid."""
        made = await self.payout(destination, cents)
        owner = await asyncpg.connect(self.migration_url)
        await owner.execute(
            "UPDATE payouts SET state = 'approved', rail = 'stellar', due_at = $2, attempts = 0, player = NULL "
            "WHERE payout_id = $1",
            made.payout_id,
            self.clock.now(),
        )
        await owner.close()
        await self.rows(
            "INSERT INTO payout_transitions (payout_id, from_state, to_state, cause, actor, correlation_id, at) "
            "SELECT payout_id, 'requested', 'approved', 'test', 'test', correlation_id, :now FROM payouts "
            "WHERE payout_id = :id RETURNING 1",
            id=made.payout_id,
            now=self.clock.now(),
        )
        return made.payout_id

    async def tick(self) -> None:
        """Both workers of the rail, then every step of the execution."""
        while await self.worker.submit():
            continue
        while await self.worker.watch():
            continue
        await super().tick()

    async def run(self, work: Callable[[Storages], Awaitable[T]]) -> T:
        """Do something over the storages of one unit of work."""
        return await run_over(self.db, self.unit_of_work, work)

    async def state(self, payout_id: UUID) -> str:
        (row,) = await self.rows("SELECT state FROM payouts WHERE payout_id = :id", id=payout_id)
        state: str = row.state
        return state

    async def reach(self, states: dict[UUID, str], *, deadline_s: float = 60) -> None:
        """Continue until each payout is in its state."""

        async def there() -> bool:
            return all([await self.state(one) == state for one, state in states.items()])

        await self.run_until(there, deadline_s=deadline_s)

    async def breaches(self) -> list[str]:
        found = await super().breaches()
        async with self.db.transaction() as tx:
            return found + [breach for check in CHECKS for breach in await check.run(tx)]
