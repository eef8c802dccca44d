"""Payouts over PostgreSQL and one or two fake rails, in one process after another until all payouts have ended, and a judge.

The judge is the rails' journals: they name every payment that was made. A payout has at most one, exactly one where it is paid or
returned, and none where its money goes back to the player.
"""

import asyncio
import hashlib
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
import yaml
from pydantic import SecretStr
from sqlalchemy import text

from prizewire_chassis.audit import Audit
from prizewire_chassis.clock import ManualClock
from prizewire_chassis.db import Database
from prizewire_chassis.health import Health
from prizewire_chassis.inbox import BatchProcessor
from prizewire_chassis.lifecycle import Built, Runtime
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.testing import make_key, make_trust, records
from prizewire_contracts.topics import PAYOUTS, REWARDS
from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_devstack.home import repository_root
from prizewire_money import Amount
from prizewire_payouts.app import build
from prizewire_payouts.settings import PayoutSettings
from prizewire_rail_fake import FakeProvider, Journal
from services.payouts.tests.rig import EURC, NETWORK, START, Rig
from tests.faults.boundaries import Boundaries, Killed, Points, end_tasks

STEP: Final = timedelta(seconds=10)
"""How far the clock moves between two rounds of all jobs. An attempt's lease takes three of them."""
ROUNDS_MAX: Final = 120
ROUNDS_SHORT: Final = 60
"""Rounds after which the clock moves by ``STEP_LONG``: the looks for a return are up to a day apart."""
STEP_LONG: Final = timedelta(hours=1)
RAILS: Final = ("fake", "second")
METHOD_KEY: Final = hashlib.sha256(b"test method key").hexdigest()
"""The key of ``Rig``, with which methods are sealed."""
ENDS: Final = {
    "paid": ["payout.paid"],
    "returned": ["payout.paid", "payout.returned"],
    "failed": ["payout.failed"],
    "cancelled": ["payout.cancelled"],
}
"""The final events of each end, in their order: rewards books them."""
PAYMENTS: Final = {"paid": 1, "returned": 1, "failed": 0, "cancelled": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One payout: the scenario that its account names, when its player asks to cancel it (``at_once``, ``accepted`` by the rail,
    ``called``: once the rail was called, None: never), and the states in which it may end. With a second rail (``rails``) it goes
    there after its first proved failure.
    """

    scenario: str
    ends: frozenset[str]
    cancel: str | None = None
    rails: int = 1


_PAID_OR_USED_UP: Final = frozenset({"paid", "failed"})
"""With one attempt at each rail, a kill between the commit of an attempt and its call leaves no other one. In a world with two
rails every plan may therefore end as failed.
"""
PLANS: Final = {
    "success": Plan(scenario="success", ends=frozenset({"paid"})),
    "pending": Plan(scenario="pending", ends=frozenset({"paid"})),
    "failure": Plan(scenario="failure", ends=frozenset({"failed"})),
    "retryable": Plan(scenario="retryable", ends=frozenset({"paid"})),
    "lost_answer": Plan(scenario="lost_answer", ends=frozenset({"paid"})),
    "lost_request": Plan(scenario="lost_request", ends=frozenset({"paid"})),
    "returned": Plan(scenario="returned", ends=frozenset({"returned"})),
    "cancel_at_once": Plan(scenario="success", cancel="at_once", ends=frozenset({"cancelled"})),
    "cancel_accepted": Plan(scenario="pending", cancel="accepted", ends=frozenset({"cancelled", "paid"})),
    "cancel_called": Plan(scenario="success", cancel="called", ends=frozenset({"cancelled", "paid"})),
    "second_rail": Plan(scenario="retryable", rails=2, ends=_PAID_OR_USED_UP),
    "second_rail_after_lost_request": Plan(scenario="lost_request", rails=2, ends=_PAID_OR_USED_UP),
    "second_rail_not_after_lost_answer": Plan(scenario="lost_answer", rails=2, ends=frozenset({"paid"})),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A payout of a world: its plan, its request, and the request to cancel it."""

    plan: Plan
    payout_id: UUID
    amount: Amount
    request: bytes
    cancel: bytes


@dataclass(slots=True)
class World:
    """One database, one rail, and the processes of payouts over them, one after another."""

    folder: Path
    urls: DatabaseUrls
    boundaries: Boundaries
    clock: ManualClock
    settings: PayoutSettings
    asked: list[Asked]
    passed: list[list[str]] = field(default_factory=list)
    """The points of each process."""
    breaches: list[str] = field(default_factory=list)
    """What the judge found at the end of the last process."""
    delivered: list[bytes] = field(default_factory=list)
    """The events that the present process has got."""

    @classmethod
    async def make(
        cls, *, folder: Path, urls: DatabaseUrls, plans: Sequence[Plan], seed: int, concurrency: int = 1
    ) -> "World":
        """A world in which these payouts are asked for. The ``seed`` chooses their ids and amounts."""
        if max(plan.rails for plan in plans) > 1:
            plans = [replace(plan, ends=plan.ends | {"failed"}) for plan in plans]
        folder.mkdir(parents=True)  # noqa: ASYNC240 - nothing else runs
        names = RAILS[: max(plan.rails for plan in plans)]
        rails = [
            {
                "name": name,
                "provider": "fake",
                "journal": str(folder / name),
                "pending_looks": 1,
                "concurrency": concurrency,
                # the second rail has a limit of calls, which must not cost a payment
                **({"calls_per_s": 200} if name != names[0] else {}),
            }
            for name in names
        ]
        (folder / "rails.yaml").write_text(yaml.safe_dump({"rails": rails}))
        key = folder / "method-key"
        key.touch(mode=0o600)
        key.write_text(METHOD_KEY)
        rig = Rig(urls)
        draw = random.Random(seed)
        asked = []
        for number, plan in enumerate(plans):
            method = await rig.method(f"player-{number}", account=f"{plan.scenario}+{number}")
            amount = Amount.parse(EURC, f"{draw.randint(1, 999)}.{draw.randint(0, 99):02}")
            payout_id = UUID(int=draw.getrandbits(128), version=4)
            intent = rig.intent(
                method,
                amount=amount.to_wire(),
                payout_id=payout_id,
                expires_at=int((START + timedelta(days=30)).timestamp()),
            )
            asked.append(
                Asked(plan, payout_id, amount, rig.requested(method, intent), rig.cancel_asked(payout_id))
            )
        await rig.close()
        return cls(
            folder,
            urls,
            Boundaries(),
            ManualClock(START),
            _settings(folder, urls, attempts_max=5 if len(names) == 1 else 1),
            asked,
        )

    async def run(self, kills: Sequence[int]) -> None:
        """Run until every payout has ended: process n is killed at point ``kills[n]``, the last one is not. Then judge."""
        with self.boundaries.watched():
            for point in [*kills, None]:
                if await self._process(point):
                    return

    async def run_killed(self, point: int) -> None:
        """Run one process until it is killed at a point."""
        with self.boundaries.watched():
            await self._process(point)

    async def run_and_exit(self, point: int) -> None:
        """Run until a point at which this very process exits."""
        with self.boundaries.watched():
            await self._process(point, exits=True)

    async def _process(self, point: int | None, *, exits: bool = False) -> bool:
        """One process; returns whether every payout has ended in it. Nothing of a killed process is kept."""
        others, points = asyncio.all_tasks(), Points(point, exits)
        self.passed.append(points.passed)
        self.delivered.clear()
        runtime = self._runtime()
        try:
            built = await build(runtime)
            self.boundaries.running = points
            for number in range(ROUNDS_MAX):
                await self._round(runtime, built)
                if await self._ended(runtime):
                    break
                self.clock.advance(STEP if number < ROUNDS_SHORT else STEP_LONG)
            else:
                self.breaches.append(f"not every payout has ended after {ROUNDS_MAX} rounds")
            with self.boundaries.unwatched():
                self.breaches += await self._judge(runtime, built)
            return True
        except Killed:
            return False
        finally:
            points.killed = True
            await end_tasks(others)
            self.boundaries.running = None
            await runtime.db.close()

    async def _round(self, runtime: Runtime, built: Built) -> None:
        """Deliver the events of rewards that this process has not got, then run every job until it has nothing to do. Each process
        gets them from the beginning, as Kafka may deliver them.
        """
        due = [one.request for one in self.asked] + [
            one.cancel for one in self.asked if self._cancel_is_due(one)
        ]
        new = [event for event in due if event not in self.delivered]
        for spec in built.specs:
            if new and spec.topic == REWARDS:
                found = records(*new, topic=REWARDS.name, start=len(self.delivered))
                await runtime.processor.process(spec, found)
        self.delivered += new
        for job in built.jobs:
            while await job.run():
                continue

    def _cancel_is_due(self, asked: Asked) -> bool:
        plan = asked.plan
        if plan.cancel == "accepted":
            return "pending" in self._payments(asked)
        return plan.cancel == "at_once" or (plan.cancel == "called" and self.boundaries.calls > 0)

    async def _ended(self, runtime: Runtime) -> bool:
        found = await self._rows(runtime, "SELECT payout_id, state FROM payouts")
        states = {row.payout_id: row.state for row in found}
        return all(states.get(one.payout_id) in one.plan.ends for one in self.asked)

    async def _judge(self, runtime: Runtime, built: Built) -> list[str]:
        """Every breach: the rails' journals against the payouts, the published events, the service's own checks."""
        for name in RAILS:
            with closing(Journal(self.folder / name)) as journal:
                rail = FakeProvider(name=name, assets=frozenset({"EURC"}), journal=journal)
                await self.boundaries.deliver(rail, now=self.clock.now())
        breaches: list[str] = []
        for check in built.checks:
            async with runtime.db.transaction() as tx:
                breaches += await check.run(tx)
        stuck = await self._rows(runtime, "SELECT state, reason FROM stuck_events")
        breaches += [f"an event is {row.state}: {row.reason}" for row in stuck]
        for one in self.asked:
            breaches += await self._judge_one(runtime, one)
        return breaches

    async def _judge_one(self, runtime: Runtime, asked: Asked) -> list[str]:
        query = "SELECT state FROM payouts WHERE payout_id = :id"
        [row] = await self._rows(runtime, query, id=asked.payout_id)
        breaches = []
        effects = self._effects(asked)
        if len(effects) != PAYMENTS.get(row.state, 0):
            breaches.append(f"the payout is {row.state}, and the rail made {len(effects)} payments")
        if any(effect != ("EURC", asked.amount.to_wire()) for effect in effects):
            breaches.append(f"the rail paid {effects}, and was asked for {asked.amount}")
        if (row.state == "returned") != ("returned" in self._payments(asked)):
            breaches.append(f"the payout is {row.state}, and its payments are {self._payments(asked)}")
        own = await self._published(runtime, asked)
        versions = [raw["aggregateversion"] for raw in own]
        if versions != list(range(1, len(own) + 1)):
            breaches.append(f"the published versions are {versions}")
        final = [kind for raw in own if (kind := raw["type"][len("prizewire.") : -len(".v1")]) in _FINAL]
        if final != ENDS.get(row.state, []):
            breaches.append(f"the payout is {row.state}, and its final events are {final}")
        return breaches

    async def _published(self, runtime: Runtime, asked: Asked) -> list[dict[str, Any]]:
        """The events about a payout, in their order: what the relay publishes."""
        query = "SELECT value FROM outbox WHERE topic = :topic ORDER BY id"
        found = [
            orjson.loads(bytes(row.value)) for row in await self._rows(runtime, query, topic=PAYOUTS.name)
        ]
        return [raw for raw in found if raw["subject"] == str(asked.payout_id)]

    def paid_by(self) -> list[str]:
        """The rails that made a payment, in the order of ``RAILS``."""
        return [name for name in RAILS if self._of(name, "SELECT 1 FROM effects", ())]

    def _effects(self, asked: Asked) -> list[tuple[str, str]]:
        return self._journal("SELECT asset, amount FROM effects WHERE payout_id = ?", asked)

    def _payments(self, asked: Asked) -> list[str]:
        return [state for (state,) in self._journal("SELECT state FROM payments WHERE payout_id = ?", asked)]

    def _journal(self, query: str, asked: Asked) -> list[Any]:
        return [row for name in RAILS for row in self._of(name, query, (str(asked.payout_id),))]

    def _of(self, rail: str, query: str, values: tuple[str, ...]) -> list[Any]:
        # no process has made the journal where it holds no tables
        with closing(sqlite3.connect(self.folder / rail)) as journal, suppress(sqlite3.OperationalError):
            return journal.execute(query, values).fetchall()
        return []

    async def left_behind(self) -> list[list[str]]:
        """What a killed process leaves behind: every payout, attempt, transition and event, and the rail's payments, but for their times."""
        runtime = self._runtime()
        try:
            found = [
                [str(tuple(row)) for row in await self._rows(runtime, query)]
                for query in (
                    "SELECT payout_id, state, attempts, version, code, polls FROM payouts ORDER BY payout_id",
                    "SELECT payout_id, attempt_no, state, provider_key, provider_ref FROM attempts ORDER BY 1, 2",
                    "SELECT payout_id, from_state, to_state, cause FROM payout_transitions ORDER BY id",
                    "SELECT event_id FROM inbox ORDER BY 1",
                )
            ]
            found += [
                [f"{raw['type']} {raw['aggregateversion']}" for raw in await self._published(runtime, one)]
                for one in self.asked
            ]
        finally:
            await runtime.db.close()
        return [
            *found,
            [str(row) for one in self.asked for row in (*self._effects(one), *self._payments(one))],
        ]

    async def _rows(self, runtime: Runtime, query: str, **values: Any) -> list[Any]:
        with self.boundaries.unwatched():
            async with runtime.db.transaction() as tx:
                return list(await tx.execute(text(query), values))

    def _runtime(self) -> Runtime:
        """A new object graph of the service, over the same database and the same journal."""
        db = Database(self.urls.runtime, application_name="payouts")
        key, trust = make_key("payouts"), make_trust()
        outbox = Outbox(service="payouts", key=key, clock=self.clock)
        audit = Audit(service="payouts", outbox=outbox, clock=self.clock)
        return Runtime(
            service="payouts",
            settings=self.settings,
            clock=self.clock,
            db=db,
            key=key,
            trust=trust,
            outbox=outbox,
            audit=audit,
            processor=BatchProcessor(db=db, trust=trust, clock=self.clock, audit=audit),
            health=Health(),
        )


_FINAL: Final = frozenset(kind for kinds in ENDS.values() for kind in kinds)


def _settings(folder: Path, urls: DatabaseUrls, *, attempts_max: int) -> PayoutSettings:
    return PayoutSettings(
        prizewire_environment="development",
        database_url=SecretStr(urls.runtime),
        kafka_sasl_password=SecretStr("unused"),
        message_key_file=Path("unused"),
        trust_file=Path("unused"),
        assets_file=repository_root() / "assets.yaml",
        method_encryption_key_file=folder / "method-key",
        rails_file=folder / "rails.yaml",
        stellar_network_passphrase=NETWORK,
        payouts_max_attempts=attempts_max,
        payouts_auto_approve_up_to="EURC=1000.00",
        payouts_auto_approve_per_day="EURC=1000000.00",
    )
