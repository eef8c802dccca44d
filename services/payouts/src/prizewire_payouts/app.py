"""Builds payouts out of its parts: the only reader of its settings."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any

from litestar import Controller
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.assets import read_assets
from prizewire_chassis.http import Lineage, LineageEntry
from prizewire_chassis.inbox import ConsumerSpec
from prizewire_chassis.keys import read_secret
from prizewire_chassis.lifecycle import Built, ConfigurationError, Runtime
from prizewire_contracts.rails import RailType, RewardPayoutProvider
from prizewire_money import AssetRegistry, MoneyError
from prizewire_payouts.approval.domain import ApprovalPolicy, Schedule
from prizewire_payouts.checks import CHECKS
from prizewire_payouts.http.parts import HttpParts
from prizewire_payouts.methods.adapters.addresses import stellar_address_kind
from prizewire_payouts.methods.adapters.vault import DetailsVault
from prizewire_payouts.methods.http.controller import methods_controller
from prizewire_payouts.payouts.adapters import SignedIntents
from prizewire_payouts.payouts.consumers.closures import Lifecycle
from prizewire_payouts.payouts.consumers.events import (
    HintsConsumer,
    RewardsConsumer,
    hints_spec,
    rewards_spec,
)
from prizewire_payouts.payouts.handlers.outcomes import Surprise
from prizewire_payouts.payouts.handlers.requests import Rules
from prizewire_payouts.payouts.http.admin import admin_controller, pauses_controller
from prizewire_payouts.payouts.http.announcing import announcing_controller
from prizewire_payouts.payouts.http.known import known_controller
from prizewire_payouts.payouts.http.own import payouts_controller
from prizewire_payouts.payouts.jobs import RailWorker, housekeeping_job
from prizewire_payouts.payouts.ports import Rail
from prizewire_payouts.payouts.storage.lineage import PayoutLineage
from prizewire_payouts.payouts.storage.measures import measure
from prizewire_payouts.payouts.storage.store import PostgresTransactions
from prizewire_payouts.rails.adapters import RailEntry, build_rails, read_rails
from prizewire_payouts.settings import PayoutSettings, approval_policy, own_accounts, schedule
from prizewire_payouts.stellar.http.controller import ReviewParts, reviews_controller
from prizewire_railkit import RailMisconfigured


async def build(runtime: Runtime) -> Built:
    """The service over its runtime.

    Raises:
        ConfigurationError: it must not start like this; the message is a sentence for the operator.
    """
    settings = runtime.settings
    assert isinstance(settings, PayoutSettings)
    try:
        return _build(runtime, settings)
    except (RailMisconfigured, MoneyError, ValueError) as error:
        raise ConfigurationError(str(error)) from None


def _build(runtime: Runtime, settings: PayoutSettings) -> Built:
    if settings.payouts_sign_with_hot_key:
        msg = "PAYOUTS_SIGN_WITH_HOT_KEY is not served: chain keys live in the signer; unset it"
        raise ConfigurationError(msg)
    assets = read_assets(settings.assets_file)
    policy, times = approval_policy(settings, assets=assets), schedule(settings)
    vault = DetailsVault(key_hex=read_secret(settings.method_encryption_key_file))
    workers: list[RailWorker] = []

    def wake() -> None:
        for worker in workers:
            worker.wake()

    transactions = PostgresTransactions(db=runtime.db, assets=assets, outbox=runtime.outbox, on_due=wake)
    lifecycle = Lifecycle(transactions=transactions, schedule=times, clock=runtime.clock, wake=wake)
    chain = _Chain(runtime, settings, lifecycle)
    rails = build_rails(
        read_rails(settings.rails_file),
        built_in={RailType.STELLAR: chain.build},
        clock=runtime.clock,
        assets=assets,
        environment=settings.prizewire_environment,
    )
    root = _Root(runtime, settings, assets=assets, transactions=transactions, vault=vault, rails=rails)
    workers += root.workers(times)

    async def close() -> None:
        for worker in workers:
            await worker.drain()
        await chain.close()

    async def gauge(now: datetime) -> None:
        await measure(runtime.db, automatic_in_day=policy.automatic_in_day, now=now)

    housekeeping = housekeeping_job(
        transactions=transactions, rails=rails, clock=runtime.clock, measure=gauge
    )
    return Built(
        assets=assets,
        controllers=root.controllers(policy, chain),
        lineage=_joined([PayoutLineage(assets=assets), *chain.lineages]),
        checks=[*CHECKS, *chain.checks],
        specs=[root.consumer(policy), root.hints(), *chain.specs],
        jobs=[*(job for worker in workers for job in worker.jobs), housekeeping, *chain.jobs],
        close=close,
    )


class _Chain:
    """The Stellar rail, built at most once: its executor owns the treasury's channels."""

    def __init__(self, runtime: Runtime, settings: PayoutSettings, lifecycle: Lifecycle) -> None:
        self._runtime = runtime
        self._settings = settings
        self._lifecycle = lifecycle
        self._parts: Any = None

    def build(self, entry: RailEntry) -> RewardPayoutProvider:
        if self._parts is not None:
            msg = f"the rail {entry.name} is a second one of type stellar: one treasury has one executor"
            raise RailMisconfigured(msg)
        if entry.options:
            msg = f"the rail {entry.name} has an unknown option {min(entry.options)!r}; it knows: none"
            raise RailMisconfigured(msg)
        if not self._settings.payouts_live_execution:
            msg = (
                f"the rail {entry.name} sends what it builds: set PAYOUTS_LIVE_EXECUTION=true, "
                "or take it out of RAILS_FILE"
            )
            raise RailMisconfigured(msg)
        # the chain's library is loaded only where the rail is configured
        stellar = import_module("prizewire_payouts.stellar.build")
        self._parts = stellar.build_stellar(
            self._runtime,
            self._settings,
            rail_name=entry.name,
            on_closed=self._lifecycle.on_closed,
            on_close_refused=self._lifecycle.on_close_refused,
            on_progress=self._lifecycle.on_progress,
        )
        provider: RewardPayoutProvider = self._parts.provider
        return provider

    @property
    def specs(self) -> list[Any]:
        return [] if self._parts is None else list(self._parts.specs)

    @property
    def jobs(self) -> list[Any]:
        return [] if self._parts is None else list(self._parts.jobs)

    @property
    def checks(self) -> list[Any]:
        return [] if self._parts is None else list(self._parts.checks)

    @property
    def lineages(self) -> list[Lineage]:
        return [] if self._parts is None else [self._parts.lineage]

    def controllers(self, http: HttpParts) -> list[type[Controller]]:
        if self._parts is None:
            return []
        return [reviews_controller(http, ReviewParts(rpcs=self._parts.rpcs, reviews=self._parts.reviews))]

    async def close(self) -> None:
        if self._parts is not None:
            await self._parts.close()


@dataclass(frozen=True, slots=True)
class _Root:
    """What the entry points are built from."""

    runtime: Runtime
    settings: PayoutSettings
    assets: AssetRegistry = field(kw_only=True)
    transactions: PostgresTransactions = field(kw_only=True)
    vault: DetailsVault = field(kw_only=True)
    rails: list[Rail] = field(kw_only=True)

    def workers(self, times: Schedule) -> list[RailWorker]:
        return [
            RailWorker(
                rail=rail,
                transactions=self.transactions,
                vault=self.vault,
                intents=SignedIntents(trust=self.runtime.trust),
                schedule=times,
                clock=self.runtime.clock,
                call_timeout=timedelta(milliseconds=self.settings.payouts_call_timeout_ms),
                on_surprise=self._audit,
            )
            for rail in self.rails
        ]

    def controllers(self, policy: ApprovalPolicy, chain: _Chain) -> list[type[Controller]]:
        parts = HttpParts(
            db=self.runtime.db,
            store=self.transactions.store,
            audit=self.runtime.audit,
            clock=self.runtime.clock,
            vault=self.vault,
            policy=policy,
            rails=self.rails,
            assets=self.assets,
            address_kind=partial(stellar_address_kind, own=own_accounts(self.settings)),
        )
        return [
            methods_controller(parts),
            payouts_controller(parts),
            pauses_controller(parts),
            *chain.controllers(parts),
            admin_controller(parts),
            known_controller(parts),
            announcing_controller(parts),
        ]

    def consumer(self, policy: ApprovalPolicy) -> ConsumerSpec:
        network = self.settings.stellar_network_passphrase
        return rewards_spec(
            RewardsConsumer(
                store=self.transactions.store,
                rules=Rules(network=network, policy=policy, rails=self.rails),
                trust=self.runtime.trust,
                assets=self.assets,
                clock=self.runtime.clock,
            )
        )

    def hints(self) -> ConsumerSpec:
        return hints_spec(HintsConsumer(store=self.transactions.store, clock=self.runtime.clock))

    async def _audit(self, surprise: Surprise) -> None:
        async with self.runtime.db.transaction() as tx:
            await self.runtime.audit.record(
                tx,
                actor="rail",
                action="payout.surprise",
                target=str(surprise.payout_id),
                reason=surprise.detail,
                detail={"attempt_no": surprise.attempt_no},
                correlation_id=surprise.correlation_id,
            )


def _joined(lineages: list[Lineage]) -> Lineage:
    async def joined(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
        entries = [entry for lineage in lineages for entry in await lineage(tx, correlation_id)]
        return sorted(entries, key=lambda entry: entry.at)

    return joined
