"""Composition root: it builds everything, and only it reads the settings."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.assets import read_assets
from prizewire_chassis.http import LineageEntry
from prizewire_chassis.keys import read_secret
from prizewire_chassis.lifecycle import Built, ConfigurationError, FileCheck, Runtime
from prizewire_contracts.player_sources import PlayerSource, read_player_sources
from prizewire_money import AssetRegistry
from prizewire_railkit.method_types.installed import installed_method_types
from prizewire_rewards.campaigns.jobs import build_campaign_jobs
from prizewire_rewards.checks.slices import build_checks, build_watches, staged_parts, sum_up
from prizewire_rewards.claims.jobs import build_claim_jobs
from prizewire_rewards.claims.storage import count_claims, count_held
from prizewire_rewards.consumers import build_specs
from prizewire_rewards.entries.jobs import build_entry_job
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.http.context import Amounts, Context
from prizewire_rewards.jobs import build_ledger_jobs
from prizewire_rewards.ledger.storage.accounts import roll_up
from prizewire_rewards.lineage import lineage_of
from prizewire_rewards.metrics import begin_assets
from prizewire_rewards.payouts.adapters import (
    InlineDestinations,
    MessageKeySigner,
    SignedIntents,
    TrustedClosures,
    TrustedQuotes,
    load_payout_rules,
    read_funding_by_asset,
    read_inline_rails,
)
from prizewire_rewards.payouts.domain.rules import PayoutRules
from prizewire_rewards.payouts.jobs import build_withdrawal_job
from prizewire_rewards.players.adapters import KeyedHasher
from prizewire_rewards.players.consumers import players_spec
from prizewire_rewards.rounds.consumers import CanonicalDigest
from prizewire_rewards.rounds.domain.commands import StagedParts
from prizewire_rewards.rounds.jobs import build_round_jobs
from prizewire_rewards.rounds.ports import RoundTools
from prizewire_rewards.routes import RoutePorts, build_routes
from prizewire_rewards.settings import RewardsSettings
from prizewire_rewards.storage import ports_of as bind_ports

SERVICE = "rewards"


async def build(runtime: Runtime) -> Built:
    """Build the service over its runtime.

    Raises:
        ConfigurationError: assets.yaml is malformed, or its definition of an asset differs from the ledger's; the key
            of players' hashes is invalid; or the payout rules or player sources cannot be read.
    """
    settings = runtime.settings
    if not isinstance(settings, RewardsSettings):
        msg = f"rewards is built from its own settings, not {type(settings).__name__}"
        raise TypeError(msg)
    assets = read_assets(settings.assets_file)
    begin_assets(assets)
    hasher = _hasher(settings)
    inline = InlineDestinations(
        types=installed_method_types(),
        rail_types=_inline_rails(settings),
        trust=runtime.trust,
        mark=partial(hasher.raw, "payout_details"),
    )
    tools = RoundTools(
        assets=assets,
        signer=MessageKeySigner(runtime.key),
        intents=SignedIntents(trust=runtime.trust, assets=assets),
        closures=TrustedClosures(runtime.trust),
        quotes=TrustedQuotes(runtime.trust),
        inline=inline,
        digest=CanonicalDigest(assets),
        network=settings.stellar_network_passphrase,
        intent_lifetime=timedelta(hours=settings.intent_lifetime_hours),
        payout_rules=_rules(settings, assets),
        funding_by_asset=_funding_by_asset(settings, assets),
    )

    ports_of = partial(bind_ports, outbox=runtime.outbox, assets=assets)

    async def roll_up_rows(tx: AsyncConnection, rows_max: int) -> int:
        return await roll_up(tx, rows_max=rows_max)

    async def sum_up_rows(tx: AsyncConnection, rows_max: int) -> tuple[int, int]:
        return await sum_up(tx, rows_max=rows_max)

    async def lineage(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
        return await lineage_of(tx, correlation_id, assets=assets)

    async def staged(tx: AsyncConnection, now: datetime) -> StagedParts:
        return await staged_parts(tx, now=now, wait_s=settings.parts_wait_s)

    async def count(tx: AsyncConnection, now: datetime) -> dict[str, tuple[int, int]]:
        return await count_claims(tx, now=now)

    round_jobs = build_round_jobs(
        db=runtime.db, ports_of=ports_of, tools=tools, clock=runtime.clock, staged=staged
    )
    claim_jobs = build_claim_jobs(
        db=runtime.db,
        ports_of=ports_of,
        clock=runtime.clock,
        assets=assets,
        count_claims=count,
        count_held=count_held,
        released=round_jobs.releasing.wake,
    )
    context: Context[RoutePorts, RoundTools] = Context(
        db=runtime.db,
        clock=runtime.clock,
        audit=runtime.audit,
        errors=STATUSES,
        unit_of_work=ports_of,
        queries=lambda tx: tx,
        tools=tools,
        amounts=Amounts(assets),
        release=round_jobs.releasing.wake,
        work_on=round_jobs.working.wake,
        hash_fact=hasher.raw,
    )
    sources = _player_sources(settings)
    return Built(
        assets=assets,
        controllers=[build_routes(context)],
        lineage=lineage,
        checks=build_checks(intents=tools.intents, parts_wait_s=settings.parts_wait_s),
        checks_watched=True,
        specs=[
            *build_specs(
                ports_of=ports_of, tools=tools, clock=runtime.clock, work_on=round_jobs.working.wake
            ),
            players_spec(ports_of=ports_of, clock=runtime.clock, hasher=hasher, sources=sources),
        ],
        jobs=[
            *round_jobs.every,
            *build_ledger_jobs(
                db=runtime.db,
                roll_up=roll_up_rows,
                sum_up=sum_up_rows,
                watches=build_watches(intents=tools.intents, parts_wait_s=settings.parts_wait_s),
                invariants_interval_s=settings.invariants_interval_s,
            ),
            *claim_jobs,
            *build_campaign_jobs(db=runtime.db, assets=assets, clock=runtime.clock),
            build_entry_job(db=runtime.db, ports_of=ports_of, tools=tools, clock=runtime.clock),
            build_withdrawal_job(db=runtime.db, ports_of=ports_of, tools=tools, clock=runtime.clock),
        ],
    )


def _hasher(settings: RewardsSettings) -> KeyedHasher:
    try:
        return KeyedHasher(key_hex=read_secret(settings.player_hash_key_file))
    except ValueError as error:
        raise ConfigurationError(f"PLAYER_HASH_KEY_FILE: {error}") from None


def _player_sources(settings: RewardsSettings) -> dict[str, PlayerSource]:
    path = settings.player_sources_file
    if path is None:
        return {}
    try:
        return read_player_sources(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"PLAYER_SOURCES_FILE {path.name}: {error}") from None


def _rules(settings: RewardsSettings, assets: AssetRegistry) -> PayoutRules:
    path = settings.payout_rules_file
    if path is None:
        return PayoutRules()
    try:
        return load_payout_rules(path, assets=assets)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"PAYOUT_RULES_FILE {path.name}: {error}") from None


def _funding_by_asset(settings: RewardsSettings, assets: AssetRegistry) -> dict[str, str]:
    try:
        return read_funding_by_asset(settings.payout_funding_accounts, assets=assets)
    except ValueError as error:
        raise ConfigurationError(f"PAYOUT_FUNDING_ACCOUNTS: {error}") from None


def _inline_rails(settings: RewardsSettings) -> dict[str, tuple[str, ...]]:
    try:
        return read_inline_rails(settings.payout_inline_rails, types=installed_method_types())
    except ValueError as error:
        raise ConfigurationError(f"PAYOUT_INLINE_RAILS: {error}") from None


FILES: Final = (
    FileCheck([], _inline_rails),
    FileCheck(["player_sources_file"], _player_sources),
    FileCheck(
        ["assets_file", "payout_rules_file"],
        lambda settings: _rules(settings, read_assets(settings.assets_file)),
    ),
    FileCheck(
        ["assets_file"],
        lambda settings: _funding_by_asset(settings, read_assets(settings.assets_file)),
    ),
)
