"""The manual rail passes the suite that every rail passes: a person stands in for the provider."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID, uuid4

from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import PayoutInstruction
from prizewire_money import Amount, Asset, AssetRegistry
from prizewire_rail_manual import ManualProvider
from prizewire_rail_manual.records import LINES
from prizewire_railkit.by_hand import LineState
from prizewire_railkit.conformance import Behaviour, Feature, RailConformance, Stage
from prizewire_railkit.conformance.stage import SLOW_S
from prizewire_railkit.method_types.fake import FAKE
from prizewire_railkit.store import RailRows
from prizewire_railkit.testing import MemoryDatabase

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EURC = Asset("EURC", 7, redeemable=True)


class Database:
    """A store that fails on demand: before a transaction begins, or after it committed."""

    def __init__(self) -> None:
        self.real = MemoryDatabase().store("manual")
        self.behaviour = Behaviour.SUCCESS
        self.failed = False

    def begin(self) -> AbstractAsyncContextManager[RailRows]:
        return self._begin()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[RailRows]:
        first, self.failed = not self.failed, True
        if self.behaviour is Behaviour.OUTAGE or (self.behaviour is Behaviour.RETRYABLE and first):
            raise ConnectionError
        async with self.real.begin() as rows:
            yield rows
        if self.behaviour is Behaviour.SLOW:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 1.1 * SLOW_S)
        if self.behaviour is Behaviour.LOST_ANSWER:
            raise ConnectionError
        if self.behaviour is Behaviour.GARBAGE:
            raise ValueError


class ManualStage:
    """The rail over its rows; the rows outlive the provider."""

    secrets: Sequence[str] = ()

    def __init__(self) -> None:
        self.database = Database()
        self.provider = self._new()

    def _new(self) -> ManualProvider:
        return ManualProvider(
            name="manual",
            assets=frozenset({"EURC"}),
            method_types={"fake": FAKE},
            currencies={"EURC": "EUR"},
            debtors={},
            registry=AssetRegistry({"EURC": EURC}),
            store=self.database,
        )

    def now(self) -> datetime:
        return NOW

    def smallest(self) -> Amount:
        return Amount.parse(EURC, "0.01")

    def instruction(self, *, amount: Amount | None = None) -> PayoutInstruction:
        payout_id = uuid4()
        return PayoutInstruction(
            payout_id=payout_id,
            attempt_no=1,
            provider_key=provider_key(payout_id=payout_id, attempt_no=1),
            correlation_id=f"test-{payout_id}",
            amount=amount or Amount.parse(EURC, "123.45"),
            method_type="fake",
            details={"account": hashlib.sha256(payout_id.bytes).hexdigest()},
        )

    async def behave(self, behaviour: Behaviour) -> None:
        self.database.behaviour = behaviour
        self.database.failed = False

    async def effects(self, payout_id: UUID) -> int:
        async with self.database.real.begin() as rows:
            return len(await rows.page(LINES, states=[LineState.CONFIRMED], payout_ids=[payout_id]))

    async def advance(self) -> None:
        """One step of two persons' work: they settle what was claimed before, then claim what is open."""
        async with self.database.real.begin() as rows:
            for line in await self.provider.lines(rows, states=[LineState.CLAIMED]):
                await self.provider.settle(
                    rows,
                    payout_id=line.payout_id,
                    paid=self.database.behaviour is not Behaviour.FAILURE,
                    evidence="statement 17",
                    persons=("olga", "piet"),
                    now=NOW,
                )
            lines = await self.provider.lines(rows, states=[LineState.OPEN])
            payout_ids = [line.payout_id for line in lines]
            if payout_ids:
                await self.provider.claim(
                    rows, payout_ids=payout_ids, batch_id=uuid4().hex, by="olga", paused={}, now=NOW
                )

    async def restart(self) -> None:
        self.provider = self._new()


class TestManual(RailConformance):
    skips: ClassVar = {
        Feature.WEBHOOKS: "people send no webhooks",
        Feature.RETURNS: "a returned transfer is booked by an operator",
        Feature.MAXIMUM: "people pay any amount",
        Feature.BALANCES: "no bank account is asked",
        Behaviour.RETURNED: "a returned transfer is booked by an operator",
        Behaviour.THROTTLED: "payouts' own database refuses no request because there are many",
    }

    async def make_stage(self) -> Stage:
        return ManualStage()
