"""Builds payouts out of its parts: the only reader of its settings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any, Final
from uuid import UUID

from litestar import Controller
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.assets import read_assets
from prizewire_chassis.http import Lineage
from prizewire_chassis.inbox import ConsumerSpec
from prizewire_chassis.keys import read_secret
from prizewire_chassis.lifecycle import Built, ConfigurationError, FileCheck, Runtime
from prizewire_contracts.rails import RailType, RewardPayoutProvider
from prizewire_money import AssetRegistry, MoneyError
from prizewire_payouts.approval.domain import ApprovalPolicy
from prizewire_payouts.approval.handlers import PolicyAdmission
from prizewire_payouts.approval.http import ApprovalContext, approvals_controller, pauses_controller
from prizewire_payouts.approval.storage import ApprovalStorage, measure_automatic_use
from prizewire_payouts.checks import CHECKS
from prizewire_payouts.http import STATUSES
from prizewire_payouts.lineage import joined
from prizewire_payouts.methods.adapters import DetailsVault, stellar_address_kind
from prizewire_payouts.methods.http import MethodContext, methods_controller
from prizewire_payouts.payouts.adapters import SignedIntents
from prizewire_payouts.payouts.consumers.hints import HintsConsumer, hints_spec
from prizewire_payouts.payouts.consumers.requests import ExecutionReports, RewardsConsumer, rewards_spec
from prizewire_payouts.payouts.handlers.outcomes import ImpossibleOutcome
from prizewire_payouts.payouts.handlers.requests import Rules
from prizewire_payouts.payouts.handlers.watching import Schedule
from prizewire_payouts.payouts.http.admin import admin_controller, announcing_controller, known_controller
from prizewire_payouts.payouts.http.listing import PayoutContext, payouts_controller
from prizewire_payouts.payouts.jobs import RailWorker, housekeeping_job
from prizewire_payouts.payouts.storage.checks import attempts_check
from prizewire_payouts.payouts.storage.lineage import PayoutLineage
from prizewire_payouts.payouts.storage.queries import measure
from prizewire_payouts.rails.adapters import RailEntry, build_rails, read_rails
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.settings import PayoutSettings, approval_policy, own_accounts, schedule
from prizewire_payouts.unit_of_work import UnitOfWork, UnitOfWorkFactory
from prizewire_railkit import RailMisconfigured


async def build(runtime: Runtime) -> Built:
    """The service over its runtime.

    Raises:
        ConfigurationError: the configuration is invalid; the message is a sentence for the operator.
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

    async def signed_unasked(tx: AsyncConnection, payout_ids: Sequence[UUID]) -> Collection[UUID]:
        return await chain.signed_unasked(tx, payout_ids)

    unit_of_work = partial(
        UnitOfWork,
        assets=assets,
        outbox=runtime.outbox,
        mac=vault.row_mac,
        wake_workers=wake,
        signed_unasked=signed_unasked,
    )
    reports = ExecutionReports(unit_of_work=unit_of_work, schedule=times, clock=runtime.clock)
    chain = _Chain(runtime, settings, reports)
    rails = build_rails(
        read_rails(settings.rails_file),
        built_in={RailType.STELLAR: chain.build},
        clock=runtime.clock,
        assets=assets,
        environment=settings.prizewire_environment,
    )
    root = _Root(runtime, settings, assets=assets, unit_of_work=unit_of_work, vault=vault, rails=rails)
    workers += root.workers(times)

    async def close() -> None:
        for worker in workers:
            await worker.drain()
        await chain.close()

    async def gauge(now: datetime) -> None:
        async with runtime.db.transaction() as tx:
            await measure(tx, now=now)
            await measure_automatic_use(tx, automatic_in_day=policy.automatic_in_day, now=now)

    housekeeping = housekeeping_job(
        db=runtime.db, unit_of_work=unit_of_work, rails=rails, clock=runtime.clock, measure=gauge
    )
    return Built(
        assets=assets,
        controllers=root.controllers(policy, chain),
        lineage=joined([PayoutLineage(assets=assets), *chain.lineages]),
        checks=[*CHECKS, attempts_check(vault.row_mac), *chain.checks],
        specs=[root.requests(policy), root.hints(), *chain.specs],
        jobs=[*(job for worker in workers for job in worker.jobs), housekeeping, *chain.jobs],
        close=close,
    )


def check_files(settings: PayoutSettings) -> None:
    """Read assets and rails, and the settings that they are compared with, as ``build`` does. Options of a rail's package are left to
    the package, which is not started.

    Raises:
        ConfigurationError: one of them is unusable.
    """
    try:
        approval_policy(settings, assets=read_assets(settings.assets_file))
        for entry in read_rails(settings.rails_file):
            if entry.type is RailType.STELLAR:
                _check_stellar(entry, settings)
                import_module("prizewire_payouts.stellar.build").checked_channels(settings)
    except (RailMisconfigured, MoneyError, ValueError) as error:
        raise ConfigurationError(str(error)) from None


FILES: Final = (FileCheck(["assets_file", "rails_file"], check_files),)


def _check_stellar(entry: RailEntry, settings: PayoutSettings) -> None:
    if entry.options:
        msg = f"the rail {entry.name} has an unknown option {min(entry.options)!r}; it knows: none"
        raise RailMisconfigured(msg)
    if not settings.payouts_live_execution:
        msg = (
            f"the rail {entry.name} sends real transactions: set PAYOUTS_LIVE_EXECUTION=true, "
            "or take it out of RAILS_FILE"
        )
        raise RailMisconfigured(msg)


class _Chain:
    """The Stellar rail, built at most once: one execution owns the treasury's channels."""

    def __init__(self, runtime: Runtime, settings: PayoutSettings, reports: ExecutionReports) -> None:
        self._runtime = runtime
        self._settings = settings
        self._reports = reports
        self._parts: Any = None

    def build(self, entry: RailEntry) -> RewardPayoutProvider:
        if self._parts is not None:
            msg = f"the rail {entry.name} is a second one of type stellar: remove one of them, since one treasury has one execution"
            raise RailMisconfigured(msg)
        _check_stellar(entry, self._settings)
        # the chain's library is loaded only where the rail is configured
        stellar = import_module("prizewire_payouts.stellar.build")
        self._parts = stellar.build_stellar(
            self._runtime,
            self._settings,
            rail_name=entry.name,
            on_closed=self._reports.on_closed,
            on_close_refused=self._reports.on_close_refused,
            on_progress=self._reports.on_progress,
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

    async def signed_unasked(self, tx: AsyncConnection, payout_ids: Sequence[UUID]) -> Collection[UUID]:
        if self._parts is None:
            return ()
        found: Collection[UUID] = await self._parts.signed_unasked(tx, payout_ids)
        return found

    def controllers(self, shared: Mapping[str, Any]) -> list[type[Controller]]:
        return [] if self._parts is None else [self._parts.controller(shared)]

    async def close(self) -> None:
        if self._parts is not None:
            await self._parts.close()


@dataclass(frozen=True, slots=True)
class _Root:
    """What the entry points are built from."""

    runtime: Runtime
    settings: PayoutSettings
    assets: AssetRegistry = field(kw_only=True)
    unit_of_work: UnitOfWorkFactory = field(kw_only=True)
    vault: DetailsVault = field(kw_only=True)
    rails: list[Rail] = field(kw_only=True)

    def workers(self, times: Schedule) -> list[RailWorker]:
        return [
            RailWorker(
                rail=rail,
                db=self.runtime.db,
                unit_of_work=self.unit_of_work,
                vault=self.vault,
                intents=SignedIntents(trust=self.runtime.trust),
                schedule=times,
                clock=self.runtime.clock,
                call_timeout=timedelta(milliseconds=self.settings.payouts_call_timeout_ms),
                on_impossible_outcome=self._audit,
            )
            for rail in self.rails
        ]

    def controllers(self, policy: ApprovalPolicy, chain: _Chain) -> list[type[Controller]]:
        shared: dict[str, Any] = {
            "db": self.runtime.db,
            "clock": self.runtime.clock,
            "audit": self.runtime.audit,
            "errors": STATUSES,
            "unit_of_work": self.unit_of_work,
            "queries": self.unit_of_work,
        }
        context = PayoutContext(**shared, rails=self.rails, assets=self.assets)
        approval = ApprovalContext(**shared, policy=policy, rails=self.rails, assets=self.assets)
        address_kind = partial(stellar_address_kind, own=own_accounts(self.settings))
        return [
            methods_controller(MethodContext(**shared, vault=self.vault, address_kind=address_kind)),
            payouts_controller(context),
            pauses_controller(approval),
            *chain.controllers(shared),
            admin_controller(context),
            approvals_controller(approval),
            known_controller(context),
            announcing_controller(context),
        ]

    def requests(self, policy: ApprovalPolicy) -> ConsumerSpec:
        network = self.settings.stellar_network_passphrase
        return rewards_spec(
            RewardsConsumer(
                unit_of_work=self.unit_of_work,
                admission=lambda unit_of_work: PolicyAdmission(ApprovalStorage(unit_of_work), policy=policy),
                rules=Rules(network=network, rails=self.rails),
                trust=self.runtime.trust,
                assets=self.assets,
                clock=self.runtime.clock,
            )
        )

    def hints(self) -> ConsumerSpec:
        return hints_spec(HintsConsumer(unit_of_work=self.unit_of_work, clock=self.runtime.clock))

    async def _audit(self, outcome: ImpossibleOutcome) -> None:
        async with self.runtime.db.transaction() as tx:
            await self.runtime.audit.record(
                tx,
                actor="rail",
                action="payout.surprise",
                target=str(outcome.payout_id),
                reason=outcome.detail,
                detail={"attempt_no": outcome.attempt_no},
                correlation_id=outcome.correlation_id,
            )
