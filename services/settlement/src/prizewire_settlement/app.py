"""The composition root of settlement: builds everything, and alone reads the settings."""

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.assets import pinned_assets
from prizewire_chassis.http import Check, rows_of
from prizewire_chassis.lifecycle import Built, ConfigurationError, Runtime
from prizewire_contracts.events.settlements import LINES_PER_PART_MAX
from prizewire_settlement.adapters.checks import ABOUT, CHECKS
from prizewire_settlement.adapters.competitions import Competitions
from prizewire_settlement.adapters.messages import Messages
from prizewire_settlement.adapters.queries import PostgresQueries
from prizewire_settlement.adapters.rules import RuleReader
from prizewire_settlement.adapters.storage import Rounds
from prizewire_settlement.entrypoints.consumers import CONSUMER, matches_spec
from prizewire_settlement.entrypoints.http import HttpParts, competition_controller, round_controller
from prizewire_settlement.entrypoints.jobs import finality_job
from prizewire_settlement.entrypoints.lineage import lineage_over
from prizewire_settlement.ports import CompetitionStore, EventSink, Queries, RoundStore
from prizewire_settlement.settings import Settings

__all__ = ["build"]


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
    assets = await pinned_assets(runtime)
    rules = RuleReader(assets)

    def rounds(tx: AsyncConnection) -> RoundStore:
        return Rounds(tx, rules=rules, consumer=CONSUMER)

    def events(tx: AsyncConnection) -> EventSink:
        return Messages(tx, outbox=runtime.outbox)

    def competitions(tx: AsyncConnection) -> CompetitionStore:
        return Competitions(tx, rules=rules)

    def queries(tx: AsyncConnection) -> Queries:
        return PostgresQueries(tx, rules=rules)

    parts = HttpParts(
        db=runtime.db,
        clock=runtime.clock,
        audit=runtime.audit,
        assets=assets,
        store=competitions,
        queries=queries,
        platform_fee_bps=settings.platform_fee_bps,
        organizer_fee_bps=settings.organizer_fee_bps,
    )
    return Built(
        controllers=[competition_controller(parts), round_controller(parts)],
        lineage=lineage_over(queries),
        checks=[
            Check(name, run, count=rows_of(ABOUT[name]) if name in ABOUT else None)
            for name, run in CHECKS.items()
        ],
        specs=[
            matches_spec(store=rounds, events=events, clock=runtime.clock, lines_per_part=LINES_PER_PART_MAX)
        ],
        jobs=[
            finality_job(
                db=runtime.db,
                store=rounds,
                events=events,
                clock=runtime.clock,
                interval_s=settings.finality_interval_s,
            )
        ],
    )
