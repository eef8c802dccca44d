"""What the database itself refuses."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.db.migrate import migrate
from services.webhooks.tests.conftest import World, paid_event

REOPENED = (
    "UPDATE subscriptions SET state = 'disabled', until_seq = 1; "
    "UPDATE subscriptions SET state = 'active', until_seq = NULL"
)
SECOND_DELIVERY = (
    "INSERT INTO deliveries (subscription_id, event_id, correlation_id, state, attempts, refusals, due_at, give_up_at, "
    "created_at, changed_at) SELECT subscription_id, event_id, correlation_id, 'pending', 0, 0, due_at, give_up_at, "
    "created_at, changed_at FROM deliveries"
)
SECOND_SUCCESS = (
    "INSERT INTO attempts (delivery_id, number, probe, outcome, started_at, finished_at) "
    "SELECT delivery_id, 2, false, 'delivered', created_at, created_at FROM deliveries"
)


async def damage(world: World, statement: str) -> str:
    with pytest.raises(DBAPIError) as caught:
        async with world.db.transaction() as tx:
            await tx.exec_driver_sql(statement)
    return str(caught.value)


@pytest.fixture
async def delivered(world: World) -> World:
    await world.subscribe()
    await world.publish(paid_event(correlation_id="c"))
    await world.pump()
    return world


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE deliveries SET state = 'pending'", "delivered -> pending is not allowed"),
        ("UPDATE deliveries SET state = 'dead'", "delivered -> dead is not allowed"),
        (REOPENED, "disabled -> active is not allowed"),
        ("UPDATE subscriptions SET state = 'failing'", "subscriptions_probe"),
        ("UPDATE subscriptions SET state = 'deleted'", "subscriptions_ended"),
        (SECOND_DELIVERY, "duplicate key"),
        (SECOND_SUCCESS, "attempts_delivered_once"),
    ],
)  # fmt: skip
async def test_states_and_uniqueness_are_enforced(delivered: World, statement: str, reason: str):
    """Edges outside the table, a second delivery of an event, and a second success are refused."""
    found = ""
    for part in statement.split("; "):
        try:
            async with delivered.db.transaction() as tx:
                await tx.exec_driver_sql(part)
        except DBAPIError as error:
            found = str(error)
    assert reason in found


@pytest.mark.parametrize("taken_at", ["-infinity", "infinity", "4000-01-01 BC", "10000-01-01"])
async def test_an_event_whose_time_cannot_be_read_is_refused(delivered: World, taken_at: str):
    """Claiming its delivery would fail, and with it every delivery that is claimed together with it."""
    found = await damage(
        delivered,
        "INSERT INTO public_events (event_id, source, type, subject, correlation_id, message, taken_at) "
        f"SELECT 'invented', source, type, subject, correlation_id, message, '{taken_at}' FROM public_events",
    )
    assert "public_events_times" in found


@pytest.mark.parametrize(
    "table", ["public_events", "transitions", "provider_events", "provider_event_conflicts"]
)
async def test_history_cannot_be_rewritten(delivered: World, table: str):
    """The runtime role may add to the history, not change or remove it."""
    column = {"public_events": "type", "transitions": "cause"}.get(table, "provider")
    for statement in (f"UPDATE {table} SET {column} = 'x'", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        found = await damage(delivered, statement)
        assert "append-only" in found or "permission denied" in found


async def test_guards_of_the_first_version_learn_where_to_look(make_database):
    """A database that was made before guards named their search path is the same as a new one once it is migrated."""
    urls = make_database("webhooks", migrated=True)
    owner = await asyncpg.connect(urls.migration)
    paths = (
        "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY proname"
    )
    repaired = await owner.fetch(paths)
    await owner.execute("ALTER FUNCTION subscriptions_state_edges_check() RESET search_path")
    await owner.execute("ALTER FUNCTION deliveries_state_edges_check() RESET search_path")
    await owner.execute("DROP TABLE traces")
    await owner.execute("DROP INDEX audit_log_correlation")
    await owner.execute("DROP INDEX stuck_events_open")
    await owner.execute("DROP FUNCTION inbox_forget")
    await owner.execute("DROP TRIGGER audit_log_continues ON audit_log")
    await owner.execute("DROP FUNCTION audit_log_continues")
    await owner.execute("DROP FUNCTION refuse_counter CASCADE")
    bounds = await owner.fetch(
        "SELECT conrelid::regclass AS table, conname FROM pg_constraint WHERE conname ~ '_times$'"
    )
    for bound in bounds:
        await owner.execute(f"ALTER TABLE {bound['table']} DROP CONSTRAINT {bound['conname']}")
    for column in ("discarded_at", "discarded_by", "discard_reason"):
        await owner.execute(f"ALTER TABLE stuck_events DROP COLUMN {column}")
    await owner.execute(
        "ALTER TABLE consumer_offsets DROP CONSTRAINT consumer_offsets_next_offset_check, DROP COLUMN last_hash"
    )
    await owner.execute("CREATE INDEX deliveries_event ON deliveries (event_id)")
    await owner.execute("ALTER TABLE public_events DROP COLUMN message, ALTER COLUMN body SET NOT NULL")
    await owner.execute("UPDATE alembic_version SET version_num = '0001'")
    assert await owner.fetch(paths) != repaired
    migrations = Path(__file__).parents[3] / "migrations"
    await asyncio.to_thread(migrate, url=urls.migration, script_location=migrations, runtime_role=None)
    assert await owner.fetch(paths) == repaired
    await owner.close()


async def test_secrets_are_not_in_the_database(world: World):
    """The stored row holds neither the secret nor its bytes."""
    import base64

    _, secret = await world.subscribe()
    (row,) = await world.rows("SELECT sealed FROM subscription_secrets")
    assert secret.encode() not in bytes(row.sealed)
    assert base64.b64decode(secret.removeprefix("whsec_")) not in bytes(row.sealed)
