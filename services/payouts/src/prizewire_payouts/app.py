"""Builds payouts out of its parts: the only reader of its settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from litestar import Controller

from prizewire_chassis.assets import read_assets
from prizewire_chassis.http.audit_routes import audit_controller
from prizewire_chassis.http.limits import Window
from prizewire_chassis.inbox import ConsumerSpec
from prizewire_chassis.lifecycle import Built, ConfigurationError, Runtime
from prizewire_contracts.codes import PayoutCode
from prizewire_money import AssetRegistry, MoneyError
from prizewire_payouts.approval.domain import ApprovalPolicy, PauseScope
from prizewire_payouts.approval.handlers import PolicyAdmission, PolicyClearance
from prizewire_payouts.approval.http.decisions import ApprovalContext, approvals_controller
from prizewire_payouts.approval.http.pauses import pauses_controller
from prizewire_payouts.approval.storage import (
    ApprovalStorage,
    PauseStorage,
    held_by_pauses,
    measure_automatic_use,
    measure_pauses,
)
from prizewire_payouts.batches.http.controller import batch_decisions_controller, batches_controller
from prizewire_payouts.by_hand.http.controller import ByHandContext, by_hand_controller
from prizewire_payouts.by_hand.storage import ByHandLineage
from prizewire_payouts.checks import CHECKS
from prizewire_payouts.execution import ExecutionContext
from prizewire_payouts.files import check_waiver, details_vault, mail_of, player_sources, screening_of
from prizewire_payouts.gates.adapters import DenyListFile, MarkedDestinations, NoDenyList
from prizewire_payouts.gates.handlers import Gates
from prizewire_payouts.gates.ports import DenyList
from prizewire_payouts.gates.storage import GateStorage
from prizewire_payouts.http import STATUSES
from prizewire_payouts.inline.adapters import MessageKeyBoxes, read_keys
from prizewire_payouts.inline.handlers import InlineRules
from prizewire_payouts.legal.http import LegalContext, legal_controller
from prizewire_payouts.legal.storage import LegalPermission, measure_legal_approvals
from prizewire_payouts.lineage import joined
from prizewire_payouts.methods.adapters import DetailsVault, InstalledTypes
from prizewire_payouts.methods.http import MethodContext, methods_controller
from prizewire_payouts.methods.jobs import erasure_job, routing_job
from prizewire_payouts.payouts.adapters import SignedIntents
from prizewire_payouts.payouts.consumers.hints import HintsConsumer, hints_spec
from prizewire_payouts.payouts.consumers.requests import ExecutionReports, RewardsConsumer, rewards_spec
from prizewire_payouts.payouts.handlers.outcomes import ImpossibleOutcome
from prizewire_payouts.payouts.handlers.requests import Rules
from prizewire_payouts.payouts.handlers.watching import Schedule
from prizewire_payouts.payouts.http.admin import admin_controller, announcing_controller, known_controller
from prizewire_payouts.payouts.http.listing import PayoutContext, payouts_controller
from prizewire_payouts.payouts.http.retries import retries_controller
from prizewire_payouts.payouts.jobs.housekeeping import housekeeping_job
from prizewire_payouts.payouts.jobs.treasury import treasury_job
from prizewire_payouts.payouts.jobs.worker import RailWorker
from prizewire_payouts.payouts.storage.checks import attempts_check
from prizewire_payouts.payouts.storage.counting import Beginning
from prizewire_payouts.payouts.storage.figures import measure
from prizewire_payouts.payouts.storage.lineage import PayoutLineage
from prizewire_payouts.players.consumers import players_spec
from prizewire_payouts.quotes.adapters import MessageKeySigner, count_answer
from prizewire_payouts.quotes.handlers import Quoting
from prizewire_payouts.quotes.http import QuoteContext, quotes_controller
from prizewire_payouts.rails.adapters import RailEntry, read_rails
from prizewire_payouts.rails.build import Executions, RailParts, build_rails
from prizewire_payouts.rails.domain import Circuit
from prizewire_payouts.rails.handlers import served_types
from prizewire_payouts.rails.http import RailsContext, RailState, rails_controller
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.rails.storage import rail_rows_check, rail_store
from prizewire_payouts.reviews.http import PaymentReviewContext, payment_reviews_controller
from prizewire_payouts.reviews.storage import evidence_check, measure_evidence
from prizewire_payouts.rotation.jobs import Rotator
from prizewire_payouts.rotation.storage import rotation_check
from prizewire_payouts.screening.jobs import Screener
from prizewire_payouts.screening.storage import measure_screening, screening_lineage
from prizewire_payouts.settings import PayoutSettings, approval_policy, cool_down, gate_limits, schedule
from prizewire_payouts.signer_audit.consumers import signer_audit_spec
from prizewire_payouts.signer_audit.storage import RECORDS, signer_audit_lineage
from prizewire_payouts.tax_list.http import TaxListContext, tax_list_controller
from prizewire_payouts.unit_of_work import UnitOfWork, UnitOfWorkFactory
from prizewire_payouts.verification.adapters import SmtpMail, TypedOwners
from prizewire_payouts.verification.http import VerificationContext, verification_controller
from prizewire_railkit import RailMisconfigured
from prizewire_railkit.method_types import MethodType
from prizewire_railkit.method_types.installed import installed_method_types


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
    check_waiver(settings)
    assets = read_assets(settings.assets_file)
    entries, times = read_rails(settings.rails_file), schedule(settings)
    policy = approval_policy(settings, assets=assets, rails=[entry.name for entry in entries])
    vault = details_vault(settings)
    method_types = installed_method_types()
    workers: list[RailWorker] = []
    screeners: list[Screener] = []

    def wake() -> None:
        for worker in workers:
            worker.wake()
        for screener in screeners:
            screener.job.wake()

    def execution_context(entry: RailEntry) -> ExecutionContext:
        return ExecutionContext(
            runtime=runtime,
            rail=entry.name,
            options=entry.options,
            on_closed=reports.on_closed,
            on_close_refused=reports.on_close_refused,
            on_progress=reports.on_progress,
        )

    executions = Executions(execution_context)
    unit_of_work = partial(
        UnitOfWork,
        assets=assets,
        outbox=runtime.outbox,
        mac=vault.row_mac,
        former_macs=vault.former_row_macs,
        seals=vault,
        wake_workers=wake,
        signed_unasked=executions.signed_unasked,
    )
    reports = ExecutionReports(unit_of_work=unit_of_work, schedule=times, clock=runtime.clock)
    rails = build_rails(
        entries,
        parts=RailParts(
            clock=runtime.clock,
            assets=assets,
            environment=settings.prizewire_environment,
            method_types=method_types,
            store=lambda rail: rail_store(db=runtime.db, unit_of_work=unit_of_work, rail=rail),
        ),
        executions=executions,
    )
    root = _Root(
        runtime,
        settings,
        assets=assets,
        unit_of_work=unit_of_work,
        vault=vault,
        types=InstalledTypes(method_types, own_accounts=executions.own_accounts),
        rails=rails,
        circuits={rail.name: Circuit() for rail in rails},
        owners=TypedOwners(method_types),
        mail=mail_of(settings),
        policy=policy,
        gates=_gates(settings, assets=assets, types=method_types, vault=vault),
    )
    workers += root.workers(times)
    screening = screening_of(settings)
    if screening is not None:
        screeners.append(
            Screener(
                db=runtime.db,
                unit_of_work=unit_of_work,
                vault=vault,
                service=screening,
                valid_for=timedelta(hours=settings.payouts_screening_valid_hours),
                clock=runtime.clock,
                timeout=timedelta(milliseconds=settings.payouts_call_timeout_ms),
            )
        )

    async def close() -> None:
        for worker in workers:
            await worker.drain()
        if screening is not None:
            await screening.close()
        await executions.close()

    beginning = Beginning()

    async def gauge(now: datetime) -> None:
        async with runtime.db.transaction() as tx:
            await beginning.once(tx)
            await measure(tx, now=now, rails=rails)
            await measure_automatic_use(tx, automatic_in_day=policy.automatic_in_day, now=now)
            await measure_evidence(tx)
            await measure_pauses(tx)
            await measure_screening(tx, now=now)
            if not settings.payouts_legal_approval_waived:
                await measure_legal_approvals(tx, rails=rails)

    housekeeping = housekeeping_job(
        db=runtime.db, unit_of_work=unit_of_work, rails=rails, clock=runtime.clock, measure=gauge
    )
    routing = routing_job(
        db=runtime.db, unit_of_work=unit_of_work, clock=runtime.clock, served=served_types(rails)
    )
    return Built(
        assets=assets,
        controllers=root.controllers(executions),
        lineage=joined(
            [
                PayoutLineage(assets=assets),
                ByHandLineage(rails=rails, unit_of_work=unit_of_work),
                screening_lineage,
                held_by_pauses,
                signer_audit_lineage,
                *executions.lineages,
            ]
        ),
        checks=[
            *CHECKS,
            attempts_check(vault.row_mac, vault.former_row_macs),
            rail_rows_check(vault.row_mac, vault.former_row_macs),
            evidence_check(vault.row_mac, vault.former_row_macs),
            rotation_check(vault),
            *executions.checks,
        ],
        specs=[root.requests(), root.hints(), root.players(), signer_audit_spec(), *executions.specs],
        jobs=[
            *(job for worker in workers for job in worker.jobs),
            *(screener.job for screener in screeners),
            housekeeping,
            routing,
            treasury_job(
                db=runtime.db,
                rails=rails,
                assets=assets,
                clock=runtime.clock,
                call_timeout=timedelta(milliseconds=settings.payouts_call_timeout_ms),
            ),
            erasure_job(
                db=runtime.db,
                clock=runtime.clock,
                audit=runtime.audit,
                kept_for=timedelta(days=settings.payouts_details_kept_days),
            ),
            Rotator(db=runtime.db, vault=vault, types=root.types).job,
            *executions.jobs,
        ],
        close=close,
    )


def _gates(
    settings: PayoutSettings,
    *,
    assets: AssetRegistry,
    types: Mapping[str, MethodType],
    vault: DetailsVault,
) -> Callable[[UnitOfWork], Gates]:
    """The gates over a unit of work, with the limits and the deny list of the settings."""
    limits, path = gate_limits(settings, assets=assets), settings.payouts_deny_list_file
    deny_list: DenyList = (
        NoDenyList() if path is None else DenyListFile(path, types=types, macs=vault.destination_macs)
    )
    destinations = MarkedDestinations(types, mac=vault.destination_mac)
    return lambda unit_of_work: Gates(
        GateStorage(unit_of_work, deny_list=deny_list, destinations=destinations), limits=limits
    )


@dataclass(frozen=True, slots=True)
class _Root:
    """What the entry points are built from."""

    runtime: Runtime
    settings: PayoutSettings
    assets: AssetRegistry = field(kw_only=True)
    unit_of_work: UnitOfWorkFactory = field(kw_only=True)
    vault: DetailsVault = field(kw_only=True)
    types: InstalledTypes = field(kw_only=True)
    rails: list[Rail] = field(kw_only=True)
    circuits: dict[str, Circuit] = field(kw_only=True)
    owners: TypedOwners = field(kw_only=True)
    mail: SmtpMail | None = field(kw_only=True)
    policy: ApprovalPolicy = field(kw_only=True)
    gates: Callable[[UnitOfWork], Gates] = field(kw_only=True)

    def workers(self, times: Schedule) -> list[RailWorker]:
        return [
            RailWorker(
                rail=rail,
                db=self.runtime.db,
                unit_of_work=self.unit_of_work,
                vault=self.vault,
                intents=SignedIntents(trust=self.runtime.trust),
                permission=partial(LegalPermission, waived=self.settings.payouts_legal_approval_waived),
                clearance=lambda unit_of_work: PolicyClearance(self.gates(unit_of_work), policy=self.policy),
                schedule=times,
                clock=self.runtime.clock,
                call_timeout=timedelta(milliseconds=self.settings.payouts_call_timeout_ms),
                on_impossible_outcome=self._audit,
                rails=self.rails,
                circuit=self.circuits[rail.name],
            )
            for rail in self.rails
        ]

    def controllers(self, executions: Executions) -> list[type[Controller]]:
        shared: dict[str, Any] = {
            "db": self.runtime.db,
            "clock": self.runtime.clock,
            "audit": self.runtime.audit,
            "errors": STATUSES,
            "unit_of_work": self.unit_of_work,
            "queries": self.unit_of_work,
        }
        known: dict[str, Any] = {"rails": self.rails, "assets": self.assets}
        context = PayoutContext(**shared, **known, vault=self.vault, types=self.types)
        approval = ApprovalContext(
            **shared,
            **known,
            policy=self.policy,
            resume_by_another=self.settings.payouts_resume_by_another,
        )
        return [
            methods_controller(
                MethodContext(
                    **shared,
                    vault=self.vault,
                    types=self.types,
                    served=served_types(self.rails),
                    cool_down=cool_down(self.settings),
                )
            ),
            verification_controller(
                VerificationContext(**shared, vault=self.vault, owners=self.owners, mail=self.mail)
            ),
            quotes_controller(self._quotes(shared)),
            rails_controller(RailsContext(**shared, rails=self.rails, states=self._states)),
            legal_controller(
                LegalContext(**shared, rails=self.rails, waived=self.settings.payouts_legal_approval_waived)
            ),
            payouts_controller(context),
            pauses_controller(approval),
            *executions.controllers(shared),
            payment_reviews_controller(
                PaymentReviewContext(**shared, rails=self.rails, schedule=schedule(self.settings))
            ),
            by_hand_controller(ByHandContext(**shared, rails=self.rails)),
            tax_list_controller(TaxListContext(**shared)),
            admin_controller(context),
            approvals_controller(approval),
            batches_controller(approval),
            batch_decisions_controller(approval),
            known_controller(context),
            announcing_controller(context),
            retries_controller(context),
            audit_controller(db=self.runtime.db, table=RECORDS),
        ]

    async def _states(self, unit_of_work: UnitOfWork, now: datetime) -> dict[str, RailState]:
        pauses = await PauseStorage(unit_of_work).in_force()
        paused = {pause.value for pause in pauses if pause.scope is PauseScope.RAIL}
        permission = LegalPermission(unit_of_work, waived=self.settings.payouts_legal_approval_waived)
        return {
            rail.name: RailState(
                paused=rail.name in paused,
                circuit=self.circuits[rail.name].state,
                off=None if await permission.may_pay(rail, now=now) else PayoutCode.RAIL_NOT_APPROVED,
            )
            for rail in self.rails
        }

    def _quotes(self, shared: Mapping[str, Any]) -> QuoteContext:
        quoting = Quoting(
            rails=self.rails,
            network=self.settings.network,
            signer=MessageKeySigner(self.runtime.key),
            limit=timedelta(milliseconds=self.settings.payouts_quote_timeout_ms),
            count=count_answer,
        )
        asked = Window(name="quotes", most=self.settings.payouts_quotes_per_minute)
        return QuoteContext(**shared, vault=self.vault, quoting=quoting, assets=self.assets, asked=asked)

    def requests(self) -> ConsumerSpec:
        network, former = self.settings.network, self.settings.payouts_former_message_key_files
        boxes = MessageKeyBoxes(self.runtime.key, read_keys(former))
        served, wait = served_types(self.rails), cool_down(self.settings)
        inline = InlineRules(boxes=boxes, vault=self.vault, served=served, cool_down=wait)
        return rewards_spec(
            RewardsConsumer(
                unit_of_work=self.unit_of_work,
                admission=lambda unit_of_work: PolicyAdmission(
                    ApprovalStorage(unit_of_work), self.gates(unit_of_work), policy=self.policy
                ),
                rules=Rules(network=network, rails=self.rails, types=self.types, inline=inline),
                trust=self.runtime.trust,
                assets=self.assets,
                clock=self.runtime.clock,
            )
        )

    def hints(self) -> ConsumerSpec:
        return hints_spec(HintsConsumer(unit_of_work=self.unit_of_work, clock=self.runtime.clock))

    def players(self) -> ConsumerSpec:
        return players_spec(
            unit_of_work=self.unit_of_work,
            clock=self.runtime.clock,
            sources=player_sources(self.settings),
        )

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
