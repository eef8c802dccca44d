"""Rows that the database keeps unchanged, and guards that temporary tables of a session cannot bypass."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_devstack.testing import DatabaseFactory
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.entries.storage import changed_entries
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.storage.accounts import account_id
from prizewire_rewards.payouts.storage.views import changed_payouts
from prizewire_rewards.rounds.storage import changed_rounds
from services.rewards.tests.rig import Match, Rig, method_event
from services.rewards.tests.sql import as_owner, insert, refused, refused_to_the_owner

KEPT = ("campaigns", "rounds", "rewards", "payouts", "payout_methods", "idempotency_keys")
WORLD = Account(Kind.EXTERNAL_IN, "world", "USDC")


@pytest.fixture(scope="module")
async def shared(make_module_database: DatabaseFactory) -> AsyncIterator[Rig]:
    """A round with a paid payout, for tests in which every write is refused."""
    rig = await Rig.open(make_module_database("rewards", migrated=True))
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    await rig.settle(Match(campaign, [("ann", "60.00")], organizer="1.00", organizer_player="club"))
    assert len(await rig.rows("SELECT 1 FROM payouts")) == 1
    yield rig
    await rig.close()


@pytest.mark.parametrize("table", KEPT)
async def test_rows_are_not_deleted_and_inserted_again(shared: Rig, table: str) -> None:
    """A deleted paid payout could be requested and paid again."""
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        state, _ = await refused(shared, lambda tx, sql=statement: tx.execute(text(sql)))
        assert state == "42501", statement
        state, message = await refused_to_the_owner(shared, statement)
        assert (state, "append-only" in message) == ("23000", True), statement


@pytest.mark.parametrize(
    ("table", "change"),
    [
        *(("rewards", change) for change in ("amount = amount + 1", "player = 'eve'", "asset = 'EURC'")),
        *(("rewards", change) for change in ("id = gen_random_uuid()", "round_id = id", "line = line + 1")),
        *(("rewards", change) for change in ("place = 9", "part = 2")),
        *(("rewards", change) for change in ("payout_id = NULL", "payout_id = gen_random_uuid()")),
        *(("rewards", change) for change in ("settlement_version = 0", "payout_ordinal = 2")),
        ("rewards", "settlement_version = 2, player = 'eve'"),
        ("rewards", "payout_id = gen_random_uuid(), payout_ordinal = 3"),
        ("rewards", "payout_id = NULL, payout_ordinal = 2"),
        ("rounds", "settlement_version = 2, gross = gross + 1"),
        ("rounds", "settlement_version = 0, digest = 'x'"),
        *(("payouts", change) for change in ("amount = amount + 1", "player = 'eve'", "asset = 'EURC'")),
        *(("payouts", change) for change in ("id = gen_random_uuid()", "campaign = NULL", "round_id = NULL")),
        *(
            ("payouts", change)
            for change in ("correlation_id = 'x'", "filed_by = 'eve'", "method_version = 9")
        ),
        *(("payouts", change) for change in ("method_id = id", "rail_types = '{fake}'", "version = 0")),
        ("payouts", "requested_at = changed_at + interval '1 day'"),
        *(("rounds", change) for change in ("gross = gross + 1", "net = net + 1", "platform_fee = 1")),
        *(
            ("rounds", change)
            for change in ("organizer_fee = 0", "organizer_player = 'eve'", "unclaimed = 1")
        ),
        *(
            ("rounds", change)
            for change in ("asset = 'EURC'", "digest = 'x'", "match_id = 'x'", "lines_total = 2")
        ),
        *(
            ("rounds", change)
            for change in ("settlement_version = 3", "rule_version = 2", "correlation_id = 'x'")
        ),
        *(("rounds", change) for change in ("match_source = 'x'", "competition = 'x'", "parts = 2")),
        *(("rounds", change) for change in ("final = false", "version = 0", "campaign = NULL")),
        *(
            ("campaigns", change)
            for change in ("asset = 'EURC'", "pool = id", "delivery = 'wallet'", "name = 'x'")
        ),
        *(("campaigns", change) for change in ("created_by = 'eve'", "funded = granted", "version = 0")),
        *(("payout_methods", change) for change in ("player = 'eve'", "version = 0")),
    ],
)
async def test_bound_columns_of_rows_never_change(shared: Rig, table: str, change: str) -> None:
    """Amounts, players, assets and ids never change, and counters only grow, also for the owner."""
    statement = f"UPDATE {table} SET {change}"
    state, message = await refused(shared, lambda tx: tx.execute(text(statement)))
    assert state == "42501" or (state == "23514" and "bound to does not change" in message)
    state, message = await refused_to_the_owner(shared, statement)
    assert (state, "bound to does not change" in message) == ("23514", True)


async def test_the_rail_of_a_payout_never_changes(rig: Rig) -> None:
    """The rail of a paid payout never changes."""
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    await rig.settle(Match(campaign, [("ann", "60.00")]))
    async with rig.db.transaction() as tx:
        await tx.execute(text("UPDATE payouts SET rail = 'stellar-main', returned = 5"))
    for change in ("rail = 'fake'", "rail = NULL", "returned = 0"):
        statement = f"UPDATE payouts SET {change}"
        state, _ = await refused(rig, lambda tx, sql=statement: tx.execute(text(sql)))
        assert state == "23514"


@pytest.fixture
async def tempting(rig: Rig) -> Rig:
    """A campaign with 100 minor units; the service may create temporary tables."""
    await rig.campaign(funded=100)
    await as_owner(rig, f'GRANT TEMPORARY ON DATABASE "{rig.urls.name}" TO "rewards"')
    return rig


async def shadow(tx: AsyncConnection, table: str) -> None:
    """Create an empty temporary table with the name of a table of the schema; everyone may read and write it."""
    await tx.execute(text(f"CREATE TEMPORARY TABLE {table} (LIKE public.{table} INCLUDING DEFAULTS)"))
    await tx.execute(text(f"GRANT ALL ON pg_temp.{table} TO PUBLIC"))


async def test_the_service_makes_no_temporary_tables(rig: Rig) -> None:
    """The migration revokes the privilege, which PostgreSQL grants to everyone."""
    state, _ = await refused(rig, lambda tx: tx.execute(text("CREATE TEMPORARY TABLE mine (id int)")))
    assert state == "42501"
    granted = await rig.rows("SELECT has_database_privilege('rewards', current_database(), 'TEMP') AS may")
    assert granted == [{"may": False}]


async def test_a_transfer_between_accounts_of_a_temporary_table_is_refused(tempting: Rig) -> None:
    """The ledger reads accounts only from its own table; these two do not exist there."""
    pool, reserved = Account(Kind.POOL, "ghost", "USDC"), Account(Kind.RESERVED, "ghost", "USDC")

    async def attempt(tx: AsyncConnection) -> None:
        await shadow(tx, "ledger_accounts")
        for account in (pool, reserved):
            await tx.execute(
                text(
                    "INSERT INTO pg_temp.ledger_accounts VALUES (:id, :kind, 'ghost', 'USDC', 'floor', 500, now())"
                ),
                {"id": account_id(account), "kind": account.kind},
            )
        await insert(tx, "prize_reserved", pool, reserved, 50)

    state, message = await refused(tempting, attempt)
    assert state == "23503"
    assert "not open in this kind" in message


async def test_locking_reads_the_ledgers_own_accounts(tempting: Rig) -> None:
    """A forged balance in a temporary table is not read."""
    [pool] = await tempting.rows("SELECT id FROM ledger_accounts WHERE kind = 'pool'")
    async with tempting.db.transaction() as tx:
        await shadow(tx, "ledger_accounts")
        await tx.execute(
            text(
                "INSERT INTO pg_temp.ledger_accounts SELECT id, kind, owner, asset, bound, 999, opened_at "
                "FROM public.ledger_accounts WHERE id = :id"
            ),
            {"id": pool["id"]},
        )
        rows = await tx.execute(text("SELECT balance FROM ledger_lock(ARRAY[CAST(:id AS uuid)])"), pool)
        assert rows.scalar_one() == 100
        await tx.rollback()


async def test_only_the_ledgers_own_movements_are_rolled_up(tempting: Rig) -> None:
    """A roll-up of movements without transfers would create money."""
    async with tempting.db.transaction() as tx:
        await shadow(tx, "ledger_deltas")
        await tx.execute(
            text(
                "INSERT INTO pg_temp.ledger_deltas (id, account, delta) OVERRIDING SYSTEM VALUE "
                "VALUES (1, :world, 5)"
            ),
            {"world": account_id(WORLD)},
        )
        await tx.execute(text("SELECT ledger_roll_up(100)"))
        await tx.execute(text("DROP TABLE pg_temp.ledger_deltas"))
    assert await tempting.balance(Kind.EXTERNAL_IN, "world") == -100
    assert await tempting.breaches() == []


@pytest.mark.parametrize(
    ("table", "back"),
    [("campaigns", "draft"), ("rounds", "reserved"), ("payouts", "requested"), ("rewards", "pending")],
)
async def test_no_transition_is_allowed_by_a_temporary_table(tempting: Rig, table: str, back: str) -> None:
    """The guards of the state machines also read only their own tables."""
    campaign = await tempting.campaign(funded=10_000, delivery=Delivery.DIRECT)
    await tempting.feed(tempting.payouts, method_event("ann"))
    await tempting.settle(Match(campaign, [("ann", "60.00")]))
    [now] = {row["state"] for row in await tempting.rows(f"SELECT state FROM {table}")}
    onward = "paid" if table == "payouts" else now
    async with tempting.db.transaction() as tx:
        await tx.execute(text(f"UPDATE {table} SET state = :to"), {"to": onward})

    async def attempt(tx: AsyncConnection) -> None:
        await shadow(tx, f"{table}_state_edges")
        await tx.execute(
            text(f"INSERT INTO pg_temp.{table}_state_edges VALUES (:a, :b)"),
            {"a": onward, "b": back},
        )
        await tx.execute(text(f"UPDATE {table} SET state = :to"), {"to": back})

    state, message = await refused(tempting, attempt)
    assert state == "23514"
    assert f"{onward} -> {back} is not allowed" in message


async def test_every_function_sets_its_search_path(rig: Rig) -> None:
    """Every function that runs with the owner's rights, or guards a table, sets its search path; new ones too."""
    found = await rig.rows(
        "SELECT p.proname AS name, coalesce(array_to_string(p.proconfig, ' '), '') AS settings, p.prosecdef AS definer "
        "FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace"
    )
    raising = {"refuse_change", "refuse_rebinding"}
    silent = {
        row["name"] for row in found if "search_path=pg_catalog, public, pg_temp" not in row["settings"]
    }
    assert silent == raising
    assert not {row["name"] for row in found if row["definer"]} & raising


async def test_what_a_campaign_was_funded_with_follows_from_the_ledger(
    rig: Rig,
) -> None:
    """The service's role can neither insert nor change the funded amount: transfers that fund and empty the pool count
    it.
    """
    campaign = await rig.campaign(funded=10_000)
    await rig.fund(campaign, 500)
    for statement in (
        "UPDATE campaigns SET funded = funded + 1",
        "UPDATE campaigns SET withdrawn = 1",
        "INSERT INTO campaigns (id, funded) VALUES (gen_random_uuid(), 1)",
        "INSERT INTO campaigns (id, withdrawn) VALUES (gen_random_uuid(), 1)",
    ):
        state, _ = await refused(rig, lambda tx, sql=statement: tx.execute(text(sql)))
        assert state == "42501", statement
    [row] = await rig.rows("SELECT funded, withdrawn FROM campaigns")
    assert (row["funded"], row["withdrawn"]) == (10_500, 0)
    assert await rig.balance(Kind.POOL, str(campaign)) == 10_500


@pytest.mark.parametrize(
    ("table", "page"),
    [("rounds", changed_rounds), ("entries", changed_entries), ("payouts", changed_payouts)],
)
async def test_a_row_with_an_old_time_is_compared_with_other_services(
    make_database: DatabaseFactory, table: str, page: Callable[..., Awaitable[Sequence[Any]]]
) -> None:
    """The pages that ``verify`` reads follow the time at which the database stored a row, whatever the row says."""
    rig = await Rig.open(make_database("rewards", migrated=True))
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    await rig.settle(Match(campaign, [("ann", "60.00")]))
    async with rig.db.transaction() as tx:
        before = (await tx.execute(text("SELECT now()"))).scalar_one()
    async with rig.db.transaction() as tx:
        await tx.execute(text(OLD[table]))
    async with rig.db.transaction() as tx:
        assert (
            await tx.execute(text(f"SELECT changed_at < now() - interval '1 year' FROM {table}"))
        ).scalar_one()
        found = await page(tx, since=before, before=None, limit=10)
    assert len(found) == 1
    await rig.close()


OLD = {
    "rounds": "UPDATE rounds SET changed_at = '2020-01-01'",
    "payouts": "UPDATE payouts SET changed_at = '2020-01-01'",
    "entries": (
        "INSERT INTO entries (id, round_id, match_id, match_source, player, asset, amount, from_topup, from_winnings, state, code, "
        "correlation_id, version, entered_at, changed_at, stored_at) VALUES (gen_random_uuid(), gen_random_uuid(), 'm', '/s', 'eve', 'USDC', "
        "1, 0, 0, 'refused', 'insufficient_balance', 'c', 1, '2020-01-01', '2020-01-01', '2020-01-01')"
    ),
}
