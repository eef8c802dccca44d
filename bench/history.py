"""Whether the ledger gets slower with its history: the same postings over a short and over a ten times longer history.

Two copies of rewards' database on one server hold as many transfers as asked for, spread over 20,000 wallets, in
their tables and indexes as if they had been posted; each side then posts the same sets through the adapter that the
service uses, turn by turn.

    .venv/bin/prizewire bench history --transfers 1000000
"""

import asyncio
import statistics
from typing import Any

from bench.ledger import WALLETS, fund, ours, targets_of
from bench.stacks import bench_stack, empty_rewards
from prizewire_devstack.stack import Stack

POSTED = 20_000
FACTOR = 10
CHUNK = 1_000_000

_INDEXES = (
    "SELECT coalesce(string_agg(indexdef, ';'), '') FROM pg_indexes WHERE tablename = 'ledger_transfers' "
    "AND indexname NOT IN (SELECT conname FROM pg_constraint)"
)
# Triggers are off while the history is written: the rows that they would write are written too.
_PAST = """
SET session_replication_role = replica;
INSERT INTO ledger_groups (no, cause, correlation_id) OVERRIDING SYSTEM VALUE
SELECT n + 1000000, 'round/' || md5('r' || n)::uuid || '/1', md5('c' || n)::uuid::text
FROM generate_series({first} / 8, {last} / 8) AS n;
INSERT INTO ledger_transfers (id, group_no, type, debit_account, debit_kind, credit_account, credit_kind, asset, amount, at)
SELECT overlay(overlay(md5('t' || n / 8)::text placing lpad(to_hex(n % 8), 5, '0') from 28) placing '8' from 13)::uuid,
    n / 8 + 1000000, 'prize_credited', hot.id, 'reserved', w.id, 'wallet:winnings', 'USDC', 100,
    timestamptz '2026-01-01' + n * interval '1 second'
FROM generate_series({first}, {last}) AS n
JOIN (SELECT id, row_number() OVER (ORDER BY owner) AS place FROM ledger_accounts WHERE kind = 'wallet:winnings') w
    ON w.place = 1 + (hashint8(n::bigint) & 2147483647) % {wallets}
CROSS JOIN (SELECT id FROM ledger_accounts WHERE kind = 'reserved') hot
"""
_BALANCES = """
SET session_replication_role = replica;
SELECT setval(pg_get_serial_sequence('ledger_groups', 'no'), greatest(max(no), 1)) FROM ledger_groups;
UPDATE ledger_accounts a SET balance = t.balance FROM (
    SELECT account, sum(delta)::bigint AS balance FROM (
        SELECT debit_account AS account, -amount AS delta FROM ledger_transfers
        UNION ALL SELECT credit_account, amount FROM ledger_transfers
    ) l GROUP BY account
) t WHERE t.account = a.id AND a.balance IS NOT NULL;
"""


def _grow(stack: Stack, *, database: str, transfers: int) -> None:
    """Write a history of ``transfers``. The indexes are built afterwards, because this is not measured."""
    definitions = stack.postgres.run_sql(_INDEXES, database=database)
    names = stack.postgres.run_sql(
        "SELECT coalesce(string_agg(indexname, ','), '') FROM pg_indexes WHERE tablename = 'ledger_transfers' "
        "AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        database=database,
    ).strip()
    stack.postgres.run_sql(f"DROP INDEX {names}", database=database)
    for first in range(0, transfers, CHUNK):
        last = min(first + CHUNK, transfers) - 1
        stack.postgres.run_sql(_PAST.format(first=first, last=last, wallets=WALLETS), database=database)
    stack.postgres.run_sql(definitions, database=database)
    stack.postgres.run_sql(_BALANCES, database=database)
    stack.postgres.run_sql("VACUUM (ANALYZE) ledger_transfers", database=database)
    stack.postgres.run_sql("VACUUM (FULL, ANALYZE) ledger_accounts", database=database)


def measure(*, transfers: int, runs: int) -> dict[str, Any]:
    """Rates over ``transfers`` and ten times as many, alternating; and their ratio."""
    sizes = {"short": transfers, "long": transfers * FACTOR}
    rates: dict[str, list[float]] = {side: [] for side in sizes}
    with bench_stack(services=("rewards",)) as stack:
        databases = {side: empty_rewards(stack, name=f"history_{side}") for side in sizes}
        for side, size in sizes.items():
            asyncio.run(fund(databases[side]))
            _grow(stack, database=f"history_{side}", transfers=size)
        for run in range(runs + 1):
            order = list(sizes) if run % 2 else list(sizes)[::-1]
            for side in order:
                stack.postgres.run_sql("CHECKPOINT")
                targets = targets_of(run, POSTED)
                rate = asyncio.run(ours(databases[side], run=run, targets=targets, clients=2))
                # the first turn of each side only fills the caches
                if run:
                    rates[side].append(rate)
        for side, size in sizes.items():
            _check(stack, database=f"history_{side}", expected=size + 2 + WALLETS + (runs + 1) * POSTED)
    medians = {side: statistics.median(found) for side, found in rates.items()}
    spread = max((max(found) - min(found)) / statistics.median(found) for found in rates.values())
    return {
        "sizes": sizes,
        "runs": {side: [round(rate) for rate in found] for side, found in rates.items()},
        "medians": {side: round(rate) for side, rate in medians.items()},
        "ratio": round(medians["long"] / medians["short"], 3),
        "spread": round(spread, 3),
    }


def _check(stack: Stack, *, database: str, expected: int) -> None:
    """Check that balances are the sums of all transfers, of the history and new ones."""
    found = stack.postgres.run_sql(
        "SELECT (SELECT count(*) FROM ledger_transfers) || ' ' || (SELECT sum(balance) FROM ledger_balances)::bigint",
        database=database,
    )
    assert found.split() == [str(expected), "0"], found
