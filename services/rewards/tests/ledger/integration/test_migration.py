"""The migration to groups keeps every transfer, its number, and what the ledger holds."""

import asyncio

import asyncpg
from alembic import command
from alembic.config import Config

from prizewire_chassis.db.migrate import migrate
from prizewire_devstack.home import repository_root
from prizewire_devstack.testing import DatabaseFactory

MIGRATIONS = repository_root() / "services/rewards/migrations"
LAST_WIDE = "0027"
# Two causes in one transaction, and one of them again in a later one.
BOOKED = """
INSERT INTO assets (code, decimals, redeemable) VALUES ('USDC', 7, true);
INSERT INTO ledger_accounts (id, kind, owner, asset, bound, balance, opened_at)
SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), kind, owner, 'USDC', bound, CASE bound WHEN 'none' THEN NULL ELSE 0 END, now()
FROM (VALUES (1, 'external_in', 'world', 'none'), (2, 'pool', 'p', 'floor'), (3, 'reserved', 'r', 'floor'),
             (4, 'wallet:winnings', 'ann', 'floor')) AS v(n, kind, owner, bound);
INSERT INTO ledger_transfers (id, group_id, type, debit_account, debit_kind, credit_account, credit_kind, asset, amount, cause,
    correlation_id, at)
SELECT gen_random_uuid(), md5(cause)::uuid, type, d.id, d.kind, c.id, c.kind, 'USDC', amount, cause, correlation,
    timestamptz '2026-01-01 00:00:00.123456+00' + moment * interval '1 second'
FROM (VALUES (1, 'campaign_funded', 'world', 'p', 100, 'fund/1', 'c-1', 0), (2, 'prize_reserved', 'p', 'r', 90, 'round/1/1', 'c-2', 0),
             (3, 'prize_credited', 'r', 'ann', 50, 'round/1/1', 'c-2', 0), (4, 'prize_credited', 'r', 'ann', 30, 'round/1/1', 'c-2', 5))
    AS v(n, type, debit, credit, amount, cause, correlation, moment)
JOIN ledger_accounts d ON d.owner = v.debit JOIN ledger_accounts c ON c.owner = v.credit ORDER BY n
"""
SHOWN = (
    "SELECT seq, id, type, debit_account, debit_kind, credit_account, credit_kind, asset, amount, at, cause, correlation_id "
    "FROM {table} ORDER BY seq"
)


async def test_every_transfer_is_kept_with_its_group(make_database: DatabaseFactory) -> None:
    """Transfers of one cause in one transaction share a group; numbers go on where they were."""
    url = make_database("rewards").migration
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes |= {"url": url, "runtime_role": None, "afterwards": None}
    await asyncio.to_thread(command.upgrade, config, LAST_WIDE)
    connection = await asyncpg.connect(url)
    await connection.execute(BOOKED)
    before = await connection.fetch(SHOWN.format(table="ledger_transfers"))
    balances = await connection.fetch("SELECT id, balance FROM ledger_balances ORDER BY id")
    await connection.close()
    await asyncio.to_thread(migrate, url=url, script_location=MIGRATIONS, runtime_role=None)
    connection = await asyncpg.connect(url)
    assert await connection.fetch(SHOWN.format(table="ledger_journal")) == before
    assert await connection.fetch("SELECT id, balance FROM ledger_balances ORDER BY id") == balances
    groups = await connection.fetch("SELECT DISTINCT group_no FROM ledger_transfers ORDER BY group_no")
    assert len(before) == 4
    assert len(groups) == 3
    assert await connection.fetchval("SELECT count(*) FROM ledger_groups") == 3
    added = await connection.fetchval(
        "INSERT INTO ledger_transfers (group_no, id, type, debit_account, debit_kind, credit_account, credit_kind, asset, amount, at) "
        "SELECT group_no, gen_random_uuid(), type, debit_account, debit_kind, credit_account, credit_kind, asset, 10, now() "
        "FROM ledger_transfers WHERE type = 'prize_reserved' RETURNING seq"
    )
    assert added == before[-1]["seq"] + 1
    await connection.close()
