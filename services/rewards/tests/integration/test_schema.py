"""The migrated database against the domain and the tables that queries see."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from prizewire_rewards.adapters.tables import metadata
from prizewire_rewards.domain.claims import CLAIM_EDGES, CLAIM_START
from prizewire_rewards.domain.disownments import DISOWNMENT_EDGES, DISOWNMENT_START
from prizewire_rewards.domain.entries import ENTRY_EDGES, ENTRY_START
from prizewire_rewards.domain.fees import WITHDRAWAL_EDGES, WITHDRAWAL_START
from prizewire_rewards.domain.states import (
    CAMPAIGN_EDGES,
    CAMPAIGN_START,
    PAYOUT_EDGES,
    PAYOUT_START,
    REWARD_EDGES,
    ROUND_EDGES,
    ROUND_START,
)
from services.rewards.tests.rig import Rig

# What migrations make for triggers alone, and Alembic's own.
ONLY_IN_THE_DATABASE = {
    "alembic_version",
    "campaigns_state_edges",
    "claims_state_edges",
    "entries_state_edges",
    "fee_withdrawals_state_edges",
    "payouts_state_edges",
    "rewards_state_edges",
    "round_disownments_state_edges",
    "rounds_state_edges",
}


async def test_the_database_holds_the_domains_transitions(rig: Rig) -> None:
    """What the migrated database enforces is what the domain says, births included."""
    domain = {
        "campaigns": {*CAMPAIGN_EDGES, *(("", state) for state in CAMPAIGN_START)},
        "rounds": {*ROUND_EDGES, *(("", state) for state in ROUND_START)},
        "payouts": {*PAYOUT_EDGES, *(("", state) for state in PAYOUT_START)},
        "rewards": {*REWARD_EDGES},
        "claims": {*CLAIM_EDGES, *(("", state) for state in CLAIM_START)},
        "entries": {*ENTRY_EDGES, *(("", state) for state in ENTRY_START)},
        "fee_withdrawals": {*WITHDRAWAL_EDGES, *(("", state) for state in WITHDRAWAL_START)},
        "round_disownments": {*DISOWNMENT_EDGES, *(("", state) for state in DISOWNMENT_START)},
    }
    for table, edges in domain.items():
        rows = await rig.rows(f"SELECT from_state, to_state FROM {table}_state_edges")
        assert {(row["from_state"], row["to_state"]) for row in rows} == edges


async def test_the_migration_makes_the_tables_that_queries_see(rig: Rig) -> None:
    """Columns, types, keys and indexes of the tables are those in the database."""
    engine = create_async_engine(rig.urls.migration.replace("postgresql://", "postgresql+asyncpg://"))

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda _, name, kind, *__: (
                    not (kind == "table" and name in ONLY_IN_THE_DATABASE)
                ),
            },
        )
        return list(compare_metadata(context, metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
