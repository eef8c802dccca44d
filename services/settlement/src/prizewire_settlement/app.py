"""The composition root of settlement: builds everything, and alone reads the settings."""

from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.assets import read_assets
from prizewire_chassis.auth import ApiTokens
from prizewire_chassis.http import Check, rows_of
from prizewire_chassis.lifecycle import Built, ConfigurationError, Runtime
from prizewire_contracts.events.settlements import LINES_PER_PART_MAX
from prizewire_settlement.adapters.campaigns import PostgresCampaigns
from prizewire_settlement.adapters.checks import ABOUT, CHECKS, results_whole
from prizewire_settlement.adapters.competitions import Competitions
from prizewire_settlement.adapters.messages import Messages
from prizewire_settlement.adapters.queries import PostgresQueries
from prizewire_settlement.adapters.rules import RuleReader
from prizewire_settlement.adapters.source_tokens import PostgresSourceTokens
from prizewire_settlement.adapters.storage import Rounds, corrections_ready
from prizewire_settlement.entrypoints.consumers import CONSUMER, matches_spec
from prizewire_settlement.entrypoints.http import HttpParts, build_controllers
from prizewire_settlement.entrypoints.http.preview import PreviewParts, preview_controller
from prizewire_settlement.entrypoints.jobs import finality_job, incomplete_job, refused_job
from prizewire_settlement.entrypoints.lineage import lineage_over
from prizewire_settlement.entrypoints.reward_events import rewards_spec
from prizewire_settlement.handlers.source_tokens import PREFIX, digest_of
from prizewire_settlement.ports import (
    Campaigns,
    CompetitionStore,
    EventSink,
    Queries,
    RoundStore,
    SourceTokens,
)
from prizewire_settlement.settings import Settings


async def build(runtime: Runtime) -> Built:
    """Everything that this service runs.

    Raises:
        ConfigurationError: the fees exceed the whole, or ``assets.yaml`` changed under amounts already written.
    """
    settings = runtime.settings
    assert isinstance(settings, Settings)
    if settings.platform_fee_bps + settings.organizer_fee_bps > 10_000:
        msg = "PLATFORM_FEE_PERCENTAGE and ORGANIZER_FEE_PERCENTAGE together exceed 100"
        raise ConfigurationError(msg)
    assets = read_assets(settings.assets_file)
    rules = RuleReader(assets)

    def rounds(tx: AsyncConnection) -> RoundStore:
        return Rounds(tx, rules=rules, consumer=CONSUMER)

    def events(tx: AsyncConnection) -> EventSink:
        return Messages(tx, outbox=runtime.outbox)

    def competitions(tx: AsyncConnection) -> CompetitionStore:
        return Competitions(tx, rules=rules)

    def campaigns(tx: AsyncConnection) -> Campaigns:
        return PostgresCampaigns(tx)

    def queries(tx: AsyncConnection) -> Queries:
        return PostgresQueries(tx, rules=rules)

    def tokens(tx: AsyncConnection) -> SourceTokens:
        return PostgresSourceTokens(tx)

    async def source_of(token: str) -> tuple[str, str] | None:
        async with runtime.db.transaction() as tx:
            return await tokens(tx).source_of(digest_of(token), now=runtime.clock.now())

    async def all_parts_came(tx: AsyncConnection) -> list[str]:
        after = timedelta(seconds=settings.results_incomplete_after_s)
        return await results_whole(tx, until=runtime.clock.now() - after)

    spec = matches_spec(
        store=rounds,
        events=events,
        ready=partial(corrections_ready, consumer=CONSUMER),
        clock=runtime.clock,
        lines_per_part=LINES_PER_PART_MAX,
    )
    parts = HttpParts(
        db=runtime.db,
        clock=runtime.clock,
        audit=runtime.audit,
        assets=assets,
        processor=runtime.processor,
        spec=spec,
        store=competitions,
        campaigns=campaigns,
        rounds=rounds,
        events=events,
        tokens=tokens,
        queries=queries,
        platform_fee_bps=settings.platform_fee_bps,
        organizer_fee_bps=settings.organizer_fee_bps,
        lines_per_part=LINES_PER_PART_MAX,
        token_days_max=settings.source_token_days_max,
    )
    previews = PreviewParts(
        db=runtime.db,
        assets=assets,
        queries=queries,
        platform_fee_bps=settings.platform_fee_bps,
        organizer_fee_bps=settings.organizer_fee_bps,
    )
    checks = {**CHECKS, "settlement.results_are_whole": all_parts_came}
    return Built(
        assets=assets,
        controllers=[*build_controllers(parts), preview_controller(previews)],
        lineage=lineage_over(queries),
        checks=[
            Check(name, run, count=rows_of(ABOUT[name]) if name in ABOUT else None)
            for name, run in checks.items()
        ],
        specs=[spec, rewards_spec(store=rounds, campaigns=campaigns, clock=runtime.clock)],
        api_tokens=ApiTokens(prefix=PREFIX, read=source_of),
        jobs=[
            finality_job(
                db=runtime.db,
                store=rounds,
                events=events,
                clock=runtime.clock,
                interval_s=settings.finality_interval_s,
            ),
            incomplete_job(
                db=runtime.db,
                queries=queries,
                clock=runtime.clock,
                after_s=settings.results_incomplete_after_s,
                interval_s=settings.results_incomplete_interval_s,
            ),
            refused_job(db=runtime.db, queries=queries, interval_s=settings.rounds_refused_interval_s),
        ],
    )
