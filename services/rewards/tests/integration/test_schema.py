"""The migrated database compared with the domain."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from prizewire_devstack.testing import DatabaseFactory
from prizewire_rewards.assignments.domain import ASSIGNMENT_EDGES, ASSIGNMENT_START
from prizewire_rewards.campaigns.domain.model import CAMPAIGN_EDGES, CAMPAIGN_START
from prizewire_rewards.claims.domain import CLAIM_EDGES, CLAIM_START
from prizewire_rewards.entries.domain import ENTRY_EDGES, ENTRY_START
from prizewire_rewards.fees.domain import WITHDRAWAL_EDGES, WITHDRAWAL_START
from prizewire_rewards.payouts.domain.model import PAYOUT_EDGES, PAYOUT_START
from prizewire_rewards.prizes.domain.states import REWARD_EDGES, ROUND_EDGES, ROUND_START
from prizewire_rewards.rounds.domain.disownments import DISOWNMENT_EDGES, DISOWNMENT_START
from services.rewards.tests.rig import Rig

MIGRATIONS = Path(__file__).parents[2] / "migrations"


async def test_the_database_holds_the_domains_transitions(rig: Rig) -> None:
    """The database enforces the domain's transitions, first states included."""
    domain = {
        "campaigns": {*CAMPAIGN_EDGES, *(("", state) for state in CAMPAIGN_START)},
        "rounds": {*ROUND_EDGES, *(("", state) for state in ROUND_START)},
        "payouts": {*PAYOUT_EDGES, *(("", state) for state in PAYOUT_START)},
        "rewards": {*REWARD_EDGES},
        "claims": {*CLAIM_EDGES, *(("", state) for state in CLAIM_START)},
        "entries": {*ENTRY_EDGES, *(("", state) for state in ENTRY_START)},
        "fee_withdrawals": {*WITHDRAWAL_EDGES, *(("", state) for state in WITHDRAWAL_START)},
        "payee_assignments": {*ASSIGNMENT_EDGES, *(("", state) for state in ASSIGNMENT_START)},
        "round_disownments": {*DISOWNMENT_EDGES, *(("", state) for state in DISOWNMENT_START)},
    }
    for table, edges in domain.items():
        rows = await rig.rows(f"SELECT from_state, to_state FROM {table}_state_edges")
        assert {(row["from_state"], row["to_state"]) for row in rows} == edges


def test_references_that_were_used_twice_before_do_not_stop_the_migration(
    make_database: DatabaseFactory,
) -> None:
    """Of old rows under one reference the first has it, and the others are marked as its repetitions."""
    urls = make_database("rewards", migrated=False)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes.update(url=urls.migration, runtime_role=None)

    async def query(*statements: str) -> list[Any]:
        engine = create_async_engine(urls.migration.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.begin() as tx:
            for statement in statements:
                found = await tx.execute(text(statement))
            rows = list(found) if found.returns_rows else []
        await engine.dispose()
        return rows

    command.upgrade(config, "0025")
    money = (
        "INSERT INTO money_in (id, type, account, asset, amount, actor, reference, cause, correlation_id, at) "
        "SELECT CAST(lpad(CAST(n AS text), 32, '0') AS uuid), type, CAST(lpad('', 32, '7') AS uuid), 'USDC', 100, 'ada', "
        "'wire', 'c', 'c', CAST('2026-01-01' AS timestamptz) + n * interval '1 day' FROM (VALUES "
        "(1, 'campaign_funded'), (2, 'campaign_funded'), (3, 'campaign_funded'), (4, 'opening_balance')) AS v (n, type)"
    )
    fees = (
        "INSERT INTO fee_withdrawals (id, source, asset, amount, reference, state, filed_by, filed_at) "
        "SELECT CAST(lpad(CAST(n AS text), 32, '0') AS uuid), 'platform', 'USDC', 100, 'wire', 'filed', 'ada', "
        "CAST('2026-01-01' AS timestamptz) + n * interval '1 day' FROM generate_series(1, 3) AS n"
    )
    rejected = (
        "UPDATE fee_withdrawals SET state = 'rejected', decided_by = 'boris', decided_at = filed_at "
        "WHERE id = CAST(lpad('1', 32, '0') AS uuid)"
    )
    asset = "INSERT INTO assets (code, decimals, redeemable) VALUES ('USDC', 2, true)"
    asyncio.run(query(asset, money, fees, rejected))
    command.upgrade(config, "head")
    said = "SELECT CAST(right(CAST(id AS text), 1) AS int), CAST(right(CAST(repeats AS text), 1) AS int) FROM {} ORDER BY id"
    assert asyncio.run(query(said.format("money_in"))) == [(1, None), (2, 1), (3, 1), (4, None)]
    assert asyncio.run(query(said.format("fee_withdrawals"))) == [(1, None), (2, None), (3, 2)]
    with pytest.raises(DBAPIError, match="append-only"):
        asyncio.run(query("UPDATE money_in SET repeats = NULL"))
