"""Puts the Stellar rail together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from stellar_sdk import StrKey

from prizewire_chassis.inbox import ConsumerSpec, strict
from prizewire_chassis.jobs import Job
from prizewire_chassis.lifecycle import Runtime
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import ROWS_POSTPONED
from prizewire_chassis.settings import load_assets
from prizewire_contracts.topics import SIGNING_RESULTS
from prizewire_payouts.execution import (
    ExecutionContext,
    ExecutionParts,
    ExecutionType,
    OnProgress,
    OnSignerAnswer,
)
from prizewire_payouts.metrics import STELLAR_CONTRADICTIONS
from prizewire_payouts.stellar.adapters.rpc import StellarRpc
from prizewire_payouts.stellar.adapters.transactions import StellarTransactions, parse_assets
from prizewire_payouts.stellar.consumers import SigningResults
from prizewire_payouts.stellar.domain.model import ITEMS_MAX
from prizewire_payouts.stellar.domain.states import DIGESTS_MAX, TransactionState
from prizewire_payouts.stellar.handlers.building import BASE_FEE, Options, build_leased
from prizewire_payouts.stellar.handlers.comparing import Comparison
from prizewire_payouts.stellar.handlers.delivering import (
    confirm_sent,
    expire_unsigned,
    resolve_checking,
    send_signed,
)
from prizewire_payouts.stellar.handlers.unasked import UnaskedLookUps
from prizewire_payouts.stellar.http.controller import ReviewContext, reviews_controller
from prizewire_payouts.stellar.jobs import measure_job
from prizewire_payouts.stellar.messages import SignerMessages
from prizewire_payouts.stellar.storage.checks import CHECKS, compared_check
from prizewire_payouts.stellar.storage.endings import EndingStorage
from prizewire_payouts.stellar.storage.execution import (
    Execution,
    ExecutionStep,
    JobWaker,
)
from prizewire_payouts.stellar.storage.leases import LeaseStorage
from prizewire_payouts.stellar.storage.lineage import lineage
from prizewire_payouts.stellar.storage.outcomes import OutcomeStorage
from prizewire_payouts.stellar.storage.provider import StellarProvider
from prizewire_payouts.stellar.storage.reviews import ReviewStorage
from prizewire_payouts.stellar.storage.unasked import UNASKED_CHECK, UnaskedStorage, signed_unasked
from prizewire_railkit import RailMisconfigured

CONSUMER = "payouts.signing"
_COMPARE = "stellar.compare"
_log = get_logger(__name__)
_WATCH_S_MIN = 0.02
_WATCH_S_MAX = 0.5
"""Bounds of the pause between two look-ups while a transaction is sent; the upper one keeps the shutdown quick."""


class StellarSettings(Protocol):
    """What the rail reads of the service's settings; the names are the environment's in lower case."""

    @property
    def payouts_live_execution(self) -> bool:
        """Whether real transactions may be sent."""

    @property
    def soroban_rpc_url(self) -> str:
        """Address of the Stellar RPC; several with commas: the first one serves, proofs need the answers of all."""

    @property
    def stellar_network_passphrase(self) -> str:
        """The network's passphrase."""

    @property
    def payout_source_account(self) -> str:
        """The treasury: a G address."""

    @property
    def stellar_channel_accounts(self) -> str:
        """Comma list of channel accounts: G addresses."""

    @property
    def stellar_assets(self) -> str:
        """Comma list of CODE:ISSUER; XLM is the native asset."""

    @property
    def payouts_max_gas_stroops(self) -> int:
        """The most for one transaction."""

    @property
    def payouts_confirm_poll_ms(self) -> int:
        """Between two looks at the ledger."""

    @property
    def assets_file(self) -> Path:
        """assets.yaml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """``linger`` is how long a batch that is not full waits for more payments; ``valid`` how long a transaction may be
    applied, by ledger close time; ``idle`` how often a job looks for work without being woken; ``digests_max``
    how many revisions of one slot may be signed before it is voided; ``compare`` how often transactions that ended are
    compared with the ledger.
    """

    linger: timedelta = timedelta(milliseconds=300)
    valid: timedelta = timedelta(seconds=90)
    idle: timedelta = timedelta(seconds=2)
    digests_max: int = DIGESTS_MAX
    compare: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class StellarParts(ExecutionParts):
    """The parts of the rail, and what they share."""

    execution: Execution = field(repr=False)


def check_configuration(*, rail: str, options: Mapping[str, Any], settings: StellarSettings) -> None:
    """See `prizewire_payouts.execution.ExecutionCheck`."""
    if options:
        msg = f"the rail {rail} has an unknown option {min(options)!r}; it knows: none"
        raise RailMisconfigured(msg)
    if not settings.payouts_live_execution:
        msg = f"the rail {rail} sends real transactions: set PAYOUTS_LIVE_EXECUTION=true, or take it out of RAILS_FILE"
        raise RailMisconfigured(msg)
    checked_channels(settings)


def build_execution(context: ExecutionContext) -> StellarParts:
    """The rail that payouts finds by its entry point."""
    settings: StellarSettings = context.runtime.settings  # type: ignore[assignment] # payouts' settings have these members
    check_configuration(rail=context.rail, options=context.options, settings=settings)
    return build_stellar(
        context.runtime,
        settings,
        rail_name=context.rail,
        on_closed=context.on_closed,
        on_close_refused=context.on_close_refused,
        on_progress=context.on_progress,
    )


EXECUTION = ExecutionType(build=build_execution, check=check_configuration)


def build_stellar(
    runtime: Runtime,
    settings: StellarSettings,
    *,
    rail_name: str,
    on_closed: OnSignerAnswer,
    on_close_refused: OnSignerAnswer,
    on_progress: OnProgress,
    tuning: Tuning | None = None,
) -> StellarParts:
    """The Stellar rail under the name ``rail_name``; nothing runs and nothing is connected yet.

    Raises:
        ValueError: a setting cannot be used; the message names it.
    """
    tuning = tuning or Tuning()
    execution = _execution(runtime, settings, rail_name=rail_name, on_progress=on_progress, tuning=tuning)
    options = Options(valid=tuning.valid, fee_max=settings.payouts_max_gas_stroops, poll=execution.poll)
    rpcs = [StellarRpc(url.strip()) for url in settings.soroban_rpc_url.split(",") if url.strip()]
    if not rpcs:
        raise ValueError("SOROBAN_RPC_URL is empty")
    registry = load_assets(settings.assets_file)

    async def close() -> None:
        for rpc in rpcs:
            await rpc.close()

    comparison = Comparison(store=EndingStorage(execution), rpcs=tuple(rpcs))
    results = SigningResults(execution=execution, on_closed=on_closed, on_close_refused=on_close_refused)
    return StellarParts(
        provider=StellarProvider(execution, assets=registry, rpc=rpcs[0]),
        specs=[ConsumerSpec(name=CONSUMER, topic=SIGNING_RESULTS, handler=results, version_rule=strict)],
        jobs=[
            *_jobs(runtime, execution, rpcs, options=options, tuning=tuning),
            _compare_job(runtime, comparison, every=tuning.compare),
            _unasked_job(runtime, execution, rpcs, every=tuning.compare),
            measure_job(execution),
        ],
        lineage=lineage,
        checks=(*CHECKS, compared_check(comparison, clock=runtime.clock), UNASKED_CHECK),
        signed_unasked=signed_unasked,
        controllers=lambda shared: [
            reviews_controller(
                ReviewContext(
                    **shared,
                    rpcs=tuple(rpcs),
                    reviews=partial(ReviewStorage, execution=execution, assets=registry),
                )
            )
        ],
        own_accounts=frozenset(
            {
                execution.treasury,
                *execution.channels,
                *(one.issuer for one in execution.assets.values() if one.issuer is not None),
            }
        ),
        close=close,
        execution=execution,
    )


def checked_channels(settings: StellarSettings) -> tuple[str, ...]:
    """The channel accounts (G…), once the settings of the rail that name accounts, assets and fees have been checked.

    Raises:
        ValueError: a setting cannot be used; the message names it.
    """
    channels = tuple(part.strip() for part in settings.stellar_channel_accounts.split(",") if part.strip())
    named = {"PAYOUT_SOURCE_ACCOUNT": (settings.payout_source_account,), "STELLAR_CHANNEL_ACCOUNTS": channels}
    for name, accounts in named.items():
        if not accounts or not all(map(StrKey.is_valid_ed25519_public_key, accounts)):
            msg = f"{name} must name Stellar accounts (G…)"
            raise ValueError(msg)
    if len(set(channels)) != len(channels) or settings.payout_source_account in channels:
        raise ValueError("STELLAR_CHANNEL_ACCOUNTS must be distinct, and none of them PAYOUT_SOURCE_ACCOUNT")
    if settings.payouts_max_gas_stroops < BASE_FEE * ITEMS_MAX:
        msg = f"PAYOUTS_MAX_GAS_STROOPS must be at least {BASE_FEE * ITEMS_MAX}: {ITEMS_MAX} operations"
        raise ValueError(msg)
    parse_assets(settings.stellar_assets)
    return channels


def _execution(
    runtime: Runtime, settings: StellarSettings, *, rail_name: str, on_progress: OnProgress, tuning: Tuning
) -> Execution:
    channels = checked_channels(settings)
    return Execution(
        rail=rail_name,
        network=settings.stellar_network_passphrase,
        treasury=settings.payout_source_account,
        channels=channels,
        assets=parse_assets(settings.stellar_assets),
        db=runtime.db,
        outbox=runtime.outbox,
        clock=runtime.clock,
        messages=SignerMessages(
            network=settings.stellar_network_passphrase, key=runtime.key, outbox=runtime.outbox
        ),
        on_progress=on_progress,
        linger=tuning.linger,
        poll=timedelta(milliseconds=settings.payouts_confirm_poll_ms),
        digests_max=tuning.digests_max,
        waker=JobWaker(),
    )


def _jobs(
    runtime: Runtime, execution: Execution, rpcs: list[StellarRpc], *, options: Options, tuning: Tuning
) -> list[Job]:
    leases, outcomes = LeaseStorage(execution), OutcomeStorage(execution)
    maker = StellarTransactions(network_passphrase=execution.network, treasury=execution.treasury)
    rpc, idle_s = rpcs[0], tuning.idle.total_seconds()

    def now() -> datetime:
        return runtime.clock.now()

    async def lease() -> bool:
        found = await leases.lease(now=now())
        if found.wait_s is not None:
            await asyncio.sleep(found.wait_s)
            return True
        return found.taken

    async def build() -> bool:
        return await build_leased(store=leases, rpc=rpc, maker=maker, options=options, now=now())

    async def send() -> bool:
        return await send_signed(store=outcomes, rpc=rpc, options=options, now=now())

    async def confirm() -> bool:
        await confirm_sent(store=outcomes, rpc=rpc, options=options, now=now())
        due = await outcomes.next_due(TransactionState.SENT)
        if due is None:
            return False
        await asyncio.sleep(min(_WATCH_S_MAX, max(_WATCH_S_MIN, (due - now()).total_seconds())))
        return True

    async def resolve() -> bool:
        return await resolve_checking(store=outcomes, rpcs=rpcs, options=options, now=now())

    async def expire() -> bool:
        return await expire_unsigned(store=outcomes, rpc=rpc, options=options, now=now())

    steps: dict[ExecutionStep, tuple[float, Callable[[], Awaitable[bool]]]] = {
        ExecutionStep.LEASE: (idle_s, lease),
        ExecutionStep.BUILD: (idle_s, build),
        ExecutionStep.SEND: (idle_s, send),
        ExecutionStep.CONFIRM: (idle_s, confirm),
        ExecutionStep.RESOLVE: (idle_s, resolve),
        ExecutionStep.EXPIRE: (5 * idle_s, expire),
    }
    jobs = []
    for step, (interval_s, run) in steps.items():
        job = Job(f"stellar.{step}", interval_s, run)
        execution.waker.register(step, job.wake)
        jobs.append(job)
    return jobs


def _compare_job(runtime: Runtime, comparison: Comparison, *, every: timedelta) -> Job:
    async def compare() -> bool:
        now = runtime.clock.now()
        for found in await comparison.run(now=now):
            STELLAR_CONTRADICTIONS.inc()
            _log.error(
                "the ledger applied a transaction that ended without success",
                tx_hash=found.ended.tx_hash,
                transaction=found.ended.attempt_id,
                state=str(found.ended.state),
                ledger=found.ledger,
            )
        resting = comparison.resting(now=now)
        ROWS_POSTPONED.labels(_COMPARE).set(len(resting))
        for one in resting:
            if one.failed_at == now:
                _log.error(
                    "row postponed",
                    job=_COMPARE,
                    row=one.ended.tx_hash,
                    reason="rpc_unavailable",
                    failures=one.failures,
                    until=one.until.isoformat(),
                )
        return comparison.more

    return Job(_COMPARE, every.total_seconds(), compare)


def _unasked_job(runtime: Runtime, execution: Execution, rpcs: list[StellarRpc], *, every: timedelta) -> Job:
    look_ups = UnaskedLookUps(store=UnaskedStorage(execution), rpcs=tuple(rpcs))

    async def run() -> bool:
        for found, ledger in await look_ups.run(now=runtime.clock.now()):
            _log.error(
                "the ledger applied a transaction that payouts did not ask for",
                tx_hash=found.tx_hash,
                payouts=[str(one) for one in found.payout_ids],
                ledger=ledger,
            )
        return look_ups.more

    return Job("stellar.unasked", every.total_seconds(), run)
