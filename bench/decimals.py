"""The cost of amounts beyond 64 bits in the ledger: its batch write with ``bigint`` columns, beside the same tables,
triggers and statements with ``numeric(38)``.

Two copies of rewards' database on one server post the same sets through the adapter that the service uses, turn by
turn. Each transfer is of some 100 units: with 9 decimals on the one side (the most that ``assets.yaml`` may say), 18 on the other.

    .venv/bin/prizewire bench decimals
"""

import asyncio
import statistics
import time
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from bench.ledger import OUR_BATCH, WALLETS, fund, targets_of, transfers_of
from bench.stacks import bench_stack, empty_rewards
from prizewire_chassis.db import Database, Write
from prizewire_contracts import ids
from prizewire_devstack.stack import Stack
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Transfer, TransferType
from prizewire_rewards.ledger.storage import accounts as ledger

SIDES = ("bigint", "numeric")
AMOUNTS = {"bigint": 100_123456789, "numeric": 100_123456789123456789}
FUNDS = {"bigint": 9 * 10**18, "numeric": 10**30}
CLIENTS = 2

_WIDER = """
SET ROLE rewards_owner;
DROP VIEW ledger_balances, ledger_journal;
ALTER TABLE ledger_accounts ALTER COLUMN balance TYPE numeric(38);
ALTER TABLE ledger_transfers ALTER COLUMN amount TYPE numeric(38);
ALTER TABLE ledger_deltas ALTER COLUMN delta TYPE numeric(38);
ALTER TABLE ledger_rollups ALTER COLUMN balance TYPE numeric(38);
ALTER TABLE ledger_sums ALTER COLUMN total TYPE numeric(38);
DO $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY ARRAY['ledger_apply()', 'ledger_roll_up(integer)', 'campaigns_count_funds()'] LOOP
        EXECUTE replace(pg_get_functiondef(name::regprocedure), '::bigint', '');
    END LOOP;
END $$;
"""
_POST = Write(
    "ledger_transfers",
    ledger.POST.parts[0],
    ledger.POST.parts[1].replace("CAST(:amounts AS bigint[])", "CAST(:amounts AS numeric[])"),
)
_WIDTH = "SELECT pg_table_size('ledger_transfers') / count(*) FROM ledger_transfers"
_SUMS = """
SELECT (SELECT count(*) FROM ledger_transfers) || ' ' || ((SELECT sum(balance) FROM ledger_accounts)
    + (SELECT coalesce(sum(delta), 0) FROM ledger_deltas) + (SELECT coalesce(sum(balance), 0) FROM ledger_rollups))
"""


async def _bring(database: str, *, side: str) -> None:
    """Put the money of all transfers of the run into the account that pays."""
    db = Database(database, application_name="bench")
    world, pool = Account(Kind.EXTERNAL_IN, "world", "USDC"), Account(Kind.POOL, "hot", "USDC")
    hot = Account(Kind.RESERVED, "hot", "USDC")
    moves = ((TransferType.CAMPAIGN_FUNDED, world, pool), (TransferType.PRIZE_RESERVED, pool, hot))
    for number, (type_, debit, credit) in enumerate(moves):
        identifier = ids.transfer_id(cause=f"bench/bring/{number}", index=0)
        transfer = Transfer(identifier, type_, debit, credit, FUNDS[side], "bench/bring", "bench")
        async with db.transaction() as tx:
            await ledger.SqlLedger(tx).post([transfer], now=datetime.now(UTC))
    await db.close()


async def _post(database: str, *, side: str, run: int, targets: list[int]) -> float:
    """Transfers per second."""
    db = Database(database, application_name="bench")
    starts = iter(range(0, len(targets), OUR_BATCH))

    async def client() -> None:
        for start in starts:
            made = [
                transfer._replace(amount=AMOUNTS[side])
                for transfer in transfers_of(run=run, targets=targets, start=start)
            ]
            async with db.transaction() as tx:
                await ledger.SqlLedger(tx).post(made, now=datetime.now(UTC))

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    took = time.perf_counter() - began
    await db.close()
    return len(targets) / took


def _turn(database: str, *, side: str, run: int, targets: list[int]) -> float:
    with patch.object(ledger, "POST", _POST if side == "numeric" else ledger.POST):
        return asyncio.run(_post(database, side=side, run=run, targets=targets))


def measure(*, transfers: int, runs: int) -> dict[str, Any]:
    """Rates of both sides over ``runs``, alternating; their ratio; and the bytes of a transfer in its table."""
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    with bench_stack(services=("rewards",)) as stack:
        databases = {side: empty_rewards(stack, name=f"decimals_{side}") for side in SIDES}
        asyncio.run(fund(databases["bigint"]))
        asyncio.run(fund(databases["numeric"]))
        stack.postgres.run_sql(_WIDER, database="decimals_numeric")
        for side in SIDES:
            stack.postgres.run_sql("VACUUM (FULL, ANALYZE)", database=f"decimals_{side}")
        for side in SIDES:
            with patch.object(ledger, "POST", _POST if side == "numeric" else ledger.POST):
                asyncio.run(_bring(databases[side], side=side))
        for run in range(runs + 1):
            for side in SIDES if run % 2 else SIDES[::-1]:
                stack.postgres.run_sql("CHECKPOINT")
                rate = _turn(databases[side], side=side, run=run, targets=targets_of(run, transfers))
                # the first turn of each side only fills the caches
                if run:
                    rates[side].append(rate)
        posted = 4 + WALLETS + (runs + 1) * transfers
        widths = {side: _width(stack, side=side, posted=posted) for side in SIDES}
    medians = {side: statistics.median(found) for side, found in rates.items()}
    return {
        "transfers": transfers,
        "runs": {side: [round(rate) for rate in found] for side, found in rates.items()},
        "medians": {side: round(rate) for side, rate in medians.items()},
        "bytes": widths,
        "ratio": round(medians["numeric"] / medians["bigint"], 3),
    }


def _width(stack: Stack, *, side: str, posted: int) -> int:
    """Return the bytes of a transfer, after a check that no money was lost or made."""
    found = stack.postgres.run_sql(_SUMS, database=f"decimals_{side}").split()
    assert found == [str(posted), "0"], found
    return int(stack.postgres.run_sql(_WIDTH, database=f"decimals_{side}"))
