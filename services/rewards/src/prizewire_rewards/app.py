"""Composition root: builds everything, and is the only reader of settings."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.assets import pinned_assets
from prizewire_chassis.http import LineageEntry
from prizewire_chassis.lifecycle import Built, Runtime
from prizewire_rewards.adapters.keys import CanonicalDigest, MessageKeySigner, TrustedClosures
from prizewire_rewards.adapters.messages import OutboxMessages
from prizewire_rewards.adapters.storage import work_of
from prizewire_rewards.adapters.storage.checks import build_checks, build_watches, sum_up
from prizewire_rewards.adapters.storage.ledger import roll_up
from prizewire_rewards.adapters.storage.lineage import lineage_of
from prizewire_rewards.adapters.storage.queries import SqlQueries
from prizewire_rewards.entrypoints.consumers import build_specs
from prizewire_rewards.entrypoints.http import Front, build_routes
from prizewire_rewards.entrypoints.jobs import build_jobs
from prizewire_rewards.entrypoints.works import Works
from prizewire_rewards.ports import Tools, Work
from prizewire_rewards.settings import RewardsSettings

__all__ = ["SERVICE", "build"]

SERVICE = "rewards"


async def build(runtime: Runtime) -> Built:
    """The service over its runtime.

    Raises:
        ConfigurationError: assets.yaml is malformed, or defines an asset otherwise than the ledger knows it.
    """
    settings = runtime.settings
    if not isinstance(settings, RewardsSettings):
        msg = f"rewards is built from its own settings, not {type(settings).__name__}"
        raise TypeError(msg)
    assets = await pinned_assets(runtime)
    tools = Tools(
        assets=assets,
        signer=MessageKeySigner(runtime.key),
        closures=TrustedClosures(runtime.trust),
        digest=CanonicalDigest(assets),
        network=settings.stellar_network_passphrase,
        intent_lifetime=timedelta(hours=settings.intent_lifetime_hours),
    )

    def work(tx: AsyncConnection) -> Work:
        return work_of(tx, messages=OutboxMessages(tx, outbox=runtime.outbox, assets=assets))

    async def fold(tx: AsyncConnection, rows_max: int) -> int:
        return await roll_up(tx, rows_max=rows_max)

    async def checkpoint(tx: AsyncConnection, rows_max: int) -> tuple[int, int]:
        return await sum_up(tx, rows_max=rows_max)

    async def lineage(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
        return await lineage_of(tx, correlation_id, assets=assets)

    works = Works(of=work)
    releasing, jobs = build_jobs(
        db=runtime.db,
        works=works,
        tools=tools,
        clock=runtime.clock,
        roll_up=fold,
        sum_up=checkpoint,
        watches=build_watches(),
        invariants_interval_s=settings.invariants_interval_s,
    )
    codes = list(assets)
    front = Front(
        db=runtime.db,
        works=works,
        queries=lambda tx: SqlQueries(tx, assets=codes),
        tools=tools,
        clock=runtime.clock,
        audit=runtime.audit,
        release=releasing.wake,
    )
    return Built(
        controllers=[build_routes(front)],
        lineage=lineage,
        checks=build_checks(),
        checks_watched=True,
        specs=build_specs(works=works, tools=tools, clock=runtime.clock),
        jobs=jobs,
    )
