"""The Stellar rail passes the suite that every rail passes, over PostgreSQL and the sandbox's ledger."""

import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import pytest
from stellar_sdk import MuxedAccount

from prizewire_contracts.rails import (
    AccountBalances,
    CancelOutcome,
    Capabilities,
    PayoutInstruction,
    PayoutReference,
    ProviderResult,
    Quote,
    QuoteRequest,
    RewardPayoutProvider,
)
from prizewire_money import Amount
from prizewire_payouts.stellar.ports import ChainRpc, RpcUnavailable
from prizewire_railkit.conformance import Behaviour, Feature, RailConformance, Stage
from services.payouts.tests.stellar.integration.conftest import NO_LINE, PLAYER_KEYS, Sandbox, World

PREPARED = 14
"""The number of payouts that are filed in advance: more than a case asks for."""


class Unpluggable:
    """A node that can be unplugged."""

    def __init__(self, rpc: ChainRpc, stage: "StellarStage") -> None:
        self._rpc = rpc
        self._stage = stage

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._rpc, name)

        async def checked(*args: Any, **kwargs: Any) -> Any:
            if self._stage.behaviour is Behaviour.OUTAGE:
                raise RpcUnavailable("unplugged")
            return await call(*args, **kwargs)

        return checked


class Noted:
    """The provider; the stage notes which payout is paid to which address."""

    def __init__(self, provider: RewardPayoutProvider, stage: "StellarStage") -> None:
        self._provider = provider
        self._stage = stage

    def __repr__(self) -> str:
        return repr(self._provider)

    def capabilities(self) -> Capabilities:
        return self._provider.capabilities()

    async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        return await self._provider.quote(request, now=now)

    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        address = instruction.details.get("address")
        if address is not None:
            self._stage.payouts_of[address].add(instruction.payout_id)
        self._stage.open[instruction.provider_key] = instruction
        return await self._provider.create_payout(instruction, now=now)

    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:
        return await self._provider.sync_status(reference, now=now)

    async def cancel(self, reference: PayoutReference, *, now: datetime) -> CancelOutcome:
        return await self._provider.cancel(reference, now=now)

    async def balances(self, *, now: datetime) -> Mapping[str, Amount]:
        assert isinstance(self._provider, AccountBalances)
        return await self._provider.balances(now=now)


class StellarStage:
    """The rail with its jobs and the sandbox's ledger, which is the judge."""

    secrets: Sequence[str] = ()

    def __init__(self, world: World, prepared: list[PayoutInstruction]) -> None:
        self.world = world
        self.behaviour = Behaviour.SUCCESS
        self.payouts_of: dict[str, set[UUID]] = defaultdict(set)
        self.open: dict[UUID, PayoutInstruction] = {}
        self._prepared = prepared
        world.wrap_rpc = lambda rpc: Unpluggable(rpc, self)  # type: ignore[assignment,return-value] # a proxy
        world.restart()

    @property
    def provider(self) -> RewardPayoutProvider:
        return Noted(self.world.parts.provider, self)

    def now(self) -> datetime:
        return self.world.clock.now()

    def smallest(self) -> Amount:
        return Amount(self.world.assets["USDC"], 1)

    def instruction(self, *, amount: Amount | None = None) -> PayoutInstruction:
        wanted = self._prepared.pop()
        details = dict(wanted.details)
        if self.behaviour is Behaviour.FAILURE:
            details["address"] = MuxedAccount(NO_LINE.public_key, secrets.randbits(60)).account_muxed
        return replace(wanted, details=details, amount=amount or wanted.amount)

    async def behave(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.world.sandbox.arm(lose_answer=int(behaviour is Behaviour.LOST_ANSWER))

    async def effects(self, payout_id: UUID) -> int:
        """Payments to the address of a payout, divided among the payouts of the address."""
        for address, payouts in self.payouts_of.items():
            if payout_id in payouts:
                made = sum(1 for to, _, _ in self.world.paid() if to == address)
                return made // len(payouts) if made % len(payouts) == 0 else made
        return 0

    async def advance(self) -> None:
        if self.behaviour is Behaviour.OUTAGE:
            await self.world.tick()
            return
        wanted = [*self.open.values()]
        await self.world.run_until(lambda: self.world.settled(wanted), deadline_s=600)

    async def restart(self) -> None:
        self.world.restart()


class TestStellar(RailConformance):
    skips: ClassVar = {
        Feature.CALLS: "the rail stores a payment and sends it later, in a transaction with others",
        Feature.RETURNS: "a payment on the chain is final",
        Feature.WEBHOOKS: "the network sends none",
        Feature.MINIMUM: "the network pays the smallest unit",
        Feature.MAXIMUM: "the network has no limit of its own",
        Behaviour.RETRYABLE: "the execution repeats a transaction itself, under the same key",
        Behaviour.THROTTLED: "a node that throttles is asked again by the execution, not by payouts",
        Behaviour.GARBAGE: "the client of the node is tested with unreadable answers by itself",
        Behaviour.SLOW: "no call of a payment waits for the network",
        Behaviour.RETURNED: "a payment on the chain is final",
    }

    @pytest.fixture(autouse=True)
    async def _world(self, make_world: Callable[..., World], sandbox: Sandbox) -> AsyncIterator[None]:
        self.world = make_world()
        yield
        await self.world.close()
        sandbox.arm(lose_answer=0)

    async def make_stage(self) -> Stage:
        prepared = []
        for number in range(PREPARED):
            player = PLAYER_KEYS[number % len(PLAYER_KEYS)].public_key
            address = MuxedAccount(player, secrets.randbits(60)).account_muxed
            prepared.append(await self.world.payout(address, 100 + number))
        return StellarStage(self.world, prepared)
