"""The composition root of settlement: builds everything, and is the only reader of the settings."""

from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.assets import read_assets
from prizewire_chassis.auth import ApiTokens
from prizewire_chassis.checks import Check, rows_of
from prizewire_chassis.lifecycle import Built, ConfigurationError, Runtime
from prizewire_contracts.events.settlements import LINES_PER_PART_MAX
from prizewire_settlement.competitions.http.competitions import CompetitionContext
from prizewire_settlement.competitions.ports import CompetitionQueries
from prizewire_settlement.competitions.ports import UnitOfWork as CompetitionWork
from prizewire_settlement.competitions.storage import (
    Competitions,
    PostgresCampaigns,
    PostgresCompetitionQueries,
    RuleReader,
)
from prizewire_settlement.http import STATUSES
from prizewire_settlement.lineage import lineage_over
from prizewire_settlement.prizes.http import PreviewContext
from prizewire_settlement.rounds.consumers import CONSUMER, matches_spec, rewards_spec
from prizewire_settlement.rounds.http.context import RoundContext
from prizewire_settlement.rounds.jobs import finality_job, incomplete_job, open_job, refused_job
from prizewire_settlement.rounds.ports import Queries
from prizewire_settlement.rounds.storage.checks import ABOUT, CHECKS, parts_proved, results_whole
from prizewire_settlement.rounds.storage.macs import mac_of
from prizewire_settlement.rounds.storage.queries import PostgresQueries
from prizewire_settlement.rounds.storage.rounds import Rounds, corrections_ready
from prizewire_settlement.routes import build_controllers
from prizewire_settlement.settings import Settings
from prizewire_settlement.source_tokens.domain import PREFIX, digest_of
from prizewire_settlement.source_tokens.http import TokenContext
from prizewire_settlement.source_tokens.jobs import ends_job
from prizewire_settlement.source_tokens.ports import SourceTokens
from prizewire_settlement.source_tokens.storage import PostgresSourceTokens


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

    def competitions(tx: AsyncConnection) -> CompetitionWork:
        return CompetitionWork(Competitions(tx, rules=rules), PostgresCampaigns(tx))

    mac = mac_of(runtime.key)
    rounds = partial(Rounds, rules=rules, consumer=CONSUMER, outbox=runtime.outbox, mac=mac)

    def queries(tx: AsyncConnection) -> Queries:
        return PostgresQueries(tx, rules=rules)

    def competition_queries(tx: AsyncConnection) -> CompetitionQueries:
        return PostgresCompetitionQueries(tx, rules=rules)

    def tokens(tx: AsyncConnection) -> SourceTokens:
        return PostgresSourceTokens(tx)

    async def source_of(token: str) -> tuple[str, str] | None:
        async with runtime.db.transaction() as tx:
            return await tokens(tx).source_of(digest_of(token), now=runtime.clock.now())

    async def all_parts_came(tx: AsyncConnection) -> list[str]:
        after = timedelta(seconds=settings.results_incomplete_after_s)
        return await results_whole(tx, until=runtime.clock.now() - after)

    async def parts_are_proved(tx: AsyncConnection) -> list[str]:
        return await parts_proved(tx, mac=mac)

    spec = matches_spec(
        unit_of_work=rounds,
        ready=partial(corrections_ready, consumer=CONSUMER),
        clock=runtime.clock,
        lines_per_part=LINES_PER_PART_MAX,
    )
    shared: dict[str, Any] = {
        "db": runtime.db,
        "clock": runtime.clock,
        "audit": runtime.audit,
        "errors": STATUSES,
    }
    fees: dict[str, Any] = {
        "platform_fee_bps": settings.platform_fee_bps,
        "organizer_fee_bps": settings.organizer_fee_bps,
    }
    controllers = build_controllers(
        competitions=CompetitionContext(
            **shared, **fees, unit_of_work=competitions, queries=competition_queries, assets=assets
        ),
        previews=PreviewContext(db=runtime.db, assets=assets, queries=competition_queries, **fees),
        rounds=RoundContext(
            **shared,
            unit_of_work=rounds,
            queries=queries,
            processor=runtime.processor,
            spec=spec,
            lines_per_part=LINES_PER_PART_MAX,
        ),
        tokens=TokenContext(
            **shared, unit_of_work=tokens, queries=tokens, days_max=settings.source_token_days_max
        ),
    )
    checks = {
        **CHECKS,
        "settlement.results_are_whole": all_parts_came,
        "settlement.parts_are_proved": parts_are_proved,
    }
    return Built(
        assets=assets,
        controllers=controllers,
        lineage=lineage_over(queries),
        checks=[
            Check(name, run, count=rows_of(ABOUT[name]) if name in ABOUT else None)
            for name, run in checks.items()
        ],
        specs=[spec, rewards_spec(unit_of_work=rounds, clock=runtime.clock)],
        api_tokens=ApiTokens(prefix=PREFIX, read=source_of),
        jobs=[
            finality_job(
                db=runtime.db,
                unit_of_work=rounds,
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
            open_job(db=runtime.db, queries=queries),
            ends_job(db=runtime.db, tokens=tokens, clock=runtime.clock),
            refused_job(db=runtime.db, queries=queries, interval_s=settings.rounds_refused_interval_s),
        ],
    )
