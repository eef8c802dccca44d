"""The ledger alone, beside a ledger in PL/pgSQL functions, on the same PostgreSQL.

Every side moves the same amounts out of one hot account into 20,000 others, durably. The functions have the shape of
pgledger: accounts with a version and sign rules, transfers, and an entry with the balance before and after for each
leg. They run as one call for each transfer, and in their batched form, an array for each call. Prizewire's side posts sets of
transfers through the adapter that the service uses: accounts opened where missing, transfers appended, allowlist,
redeemability, kinds and balances enforced by the database. Each side gets the number of clients at which it is fastest.

    .venv/bin/prizewire bench ledger
"""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import asyncpg

from bench.stacks import bench_stack, empty_rewards
from prizewire_chassis.db import Database
from prizewire_contracts import ids
from prizewire_devstack.stack import Stack
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Transfer, TransferType
from prizewire_rewards.ledger.storage.accounts import SqlLedger

WALLETS = 20_000
ASSET = "USDC"
FUNDS = 10**15
CLIENTS = {"calls": (1, 4, 8), "batches": (1, 2), "ours": (1, 2)}
SQL_BATCH = 199
"""Transfers in one call of the batched form: the size of its published measurement."""
OUR_BATCH = 500
PER_ROUND = 8
SIDES = ("calls", "batches", "ours")

SCHEMA = """
CREATE TABLE accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, currency text NOT NULL,
    balance numeric NOT NULL DEFAULT 0, version bigint NOT NULL DEFAULT 0,
    allow_negative boolean NOT NULL, allow_positive boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE transfers (
    id uuid PRIMARY KEY DEFAULT uuidv7(), from_account bigint NOT NULL REFERENCES accounts (id),
    to_account bigint NOT NULL REFERENCES accounts (id), amount numeric NOT NULL CHECK (amount > 0),
    created_at timestamptz NOT NULL, event_at timestamptz NOT NULL, metadata jsonb,
    CHECK (from_account <> to_account));
CREATE INDEX ON transfers (from_account);
CREATE INDEX ON transfers (to_account);
CREATE TABLE entries (
    id uuid PRIMARY KEY DEFAULT uuidv7(), account bigint NOT NULL REFERENCES accounts (id),
    transfer uuid NOT NULL REFERENCES transfers (id), amount numeric NOT NULL, previous_balance numeric NOT NULL,
    current_balance numeric NOT NULL, account_version bigint NOT NULL, created_at timestamptz NOT NULL);
CREATE INDEX ON entries (account);
CREATE INDEX ON entries (transfer);

CREATE FUNCTION add_entry(target bigint, transfer uuid, delta numeric, at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE a accounts;
BEGIN
    UPDATE accounts SET balance = balance + delta, version = version + 1, updated_at = at WHERE id = target
    RETURNING * INTO a;
    IF a.balance < 0 AND NOT a.allow_negative OR a.balance > 0 AND NOT a.allow_positive THEN
        RAISE EXCEPTION 'account % may not stand at %', a.name, a.balance;
    END IF;
    INSERT INTO entries (account, transfer, amount, previous_balance, current_balance, account_version, created_at)
    VALUES (target, transfer, delta, a.balance - delta, a.balance, a.version, at);
END $$;

CREATE FUNCTION transfer(payer bigint, payee bigint, amount numeric, event_at timestamptz, metadata jsonb)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE made uuid; at timestamptz := clock_timestamp(); p accounts; q accounts;
BEGIN
    PERFORM 1 FROM accounts WHERE id IN (payer, payee) ORDER BY id FOR UPDATE;
    SELECT * INTO p FROM accounts WHERE id = payer;
    SELECT * INTO q FROM accounts WHERE id = payee;
    IF p.currency <> q.currency THEN
        RAISE EXCEPTION 'currencies differ';
    END IF;
    INSERT INTO transfers (from_account, to_account, amount, created_at, event_at, metadata)
    VALUES (payer, payee, amount, at, event_at, metadata) RETURNING id INTO made;
    PERFORM add_entry(payer, made, -amount, at);
    PERFORM add_entry(payee, made, amount, at);
    RETURN made;
END $$;

CREATE FUNCTION transfer_many(payers bigint[], payees bigint[], amounts numeric[], event_at timestamptz)
RETURNS SETOF uuid LANGUAGE plpgsql AS $$
DECLARE n integer;
BEGIN
    PERFORM 1 FROM accounts WHERE id = ANY (payers || payees) ORDER BY id FOR UPDATE;
    FOR n IN 1 .. array_length(payers, 1) LOOP
        RETURN NEXT transfer(payers[n], payees[n], amounts[n], event_at, NULL);
    END LOOP;
END $$;

INSERT INTO accounts (name, currency, allow_negative, allow_positive)
SELECT CASE n WHEN 0 THEN 'hot' ELSE 'p-' || n END, 'USDC', n = 0, true FROM generate_series(0, 20000) n;
ANALYZE accounts;
"""


def targets_of(run: int, count: int) -> list[int]:
    """The wallets of ``count`` transfers, the same for every side of a run."""
    draw = random.Random(run)
    return [draw.randrange(1, WALLETS + 1) for _ in range(count)]


async def _timed(work: Callable[[], Awaitable[int]]) -> float:
    began = time.perf_counter()
    done = await work()
    return done / (time.perf_counter() - began)


async def calls(database: str, *, targets: list[int], clients: int) -> float:
    """Transfers per second by one call, and one commit, for each."""
    pool = await asyncpg.create_pool(database, min_size=clients, max_size=clients)
    shares = [targets[n::clients] for n in range(clients)]
    hot = await pool.fetchval("SELECT id FROM accounts WHERE name = 'hot'")

    async def client(share: list[int]) -> None:
        async with pool.acquire() as connection:
            statement = await connection.prepare("SELECT transfer($1, $2, $3, $4, NULL)")
            for target in share:
                await statement.fetchval(hot, hot + target, 100, datetime.now(UTC))

    async def work() -> int:
        await asyncio.gather(*(client(share) for share in shares))
        return len(targets)

    rate = await _timed(work)
    await pool.close()
    return rate


async def batches(database: str, *, targets: list[int], clients: int) -> float:
    """Transfers per second by one call, and one commit, for 199 of them."""
    pool = await asyncpg.create_pool(database, min_size=clients, max_size=clients)
    hot = await pool.fetchval("SELECT id FROM accounts WHERE name = 'hot'")
    starts = iter(range(0, len(targets), SQL_BATCH))

    async def client() -> None:
        async with pool.acquire() as connection:
            for start in starts:
                share = [hot + target for target in targets[start : start + SQL_BATCH]]
                await connection.fetch(
                    "SELECT transfer_many($1, $2, $3, $4)",
                    [hot] * len(share),
                    share,
                    [100] * len(share),
                    datetime.now(UTC),
                )

    async def work() -> int:
        await asyncio.gather(*(client() for _ in range(clients)))
        return len(targets)

    rate = await _timed(work)
    await pool.close()
    return rate


async def ours(database: str, *, run: int, targets: list[int], clients: int) -> float:
    """Transfers per second through rewards' own adapter, 500 to a transaction, eight to a group as a round has them."""
    db = Database(database, application_name="bench")
    starts = iter(range(0, len(targets), OUR_BATCH))

    async def client() -> None:
        for start in starts:
            made = transfers_of(run=run, targets=targets, start=start)
            async with db.transaction() as tx:
                await SqlLedger(tx).post(made, now=datetime.now(UTC))

    async def work() -> int:
        await asyncio.gather(*(client() for _ in range(clients)))
        return len(targets)

    rate = await _timed(work)
    await db.close()
    return rate


def transfers_of(*, run: int, targets: list[int], start: int) -> list[Transfer]:
    """One batch of a run, from ``start``: transfers of 100 minor units from the hot account."""
    hot = Account(Kind.RESERVED, "hot", ASSET)
    end = min(start + OUR_BATCH, len(targets))
    found = []
    for first in range(start, end, PER_ROUND):
        cause = f"bench/{run}/{first}"
        share = targets[first : min(first + PER_ROUND, end)]
        for target, made in zip(share, ids.transfer_ids(cause=cause, indexes=range(len(share))), strict=True):
            wallet = Account(Kind.WINNINGS, f"p-{target}", ASSET)
            found.append(Transfer(made, TransferType.PRIZE_CREDITED, hot, wallet, 100, cause, cause))
    return found


async def fund(database: str) -> None:
    """Open every account, and fund the account that pays."""
    db = Database(database, application_name="bench")
    world, pool = Account(Kind.EXTERNAL_IN, "world", ASSET), Account(Kind.POOL, "hot", ASSET)
    hot = Account(Kind.RESERVED, "hot", ASSET)
    moves = ((TransferType.CAMPAIGN_FUNDED, world, pool), (TransferType.PRIZE_RESERVED, pool, hot))
    async with db.transaction() as tx:
        ledger = SqlLedger(tx)
        for number, (type_, debit, credit) in enumerate(moves):
            identifier = ids.transfer_id(cause=f"bench/fund/{number}", index=0)
            transfer = Transfer(identifier, type_, debit, credit, FUNDS, "bench/fund", "bench")
            await ledger.post([transfer], now=datetime.now(UTC))
    await ours(database, run=-1, targets=list(range(1, WALLETS + 1)), clients=1)
    await db.close()


def _check(stack: Stack, *, functions: str, rewards: str, moved: int, posted: int) -> None:
    """Check that no money was lost or made on either side."""
    found = stack.postgres.run_sql(
        "SELECT count(*) || ' ' || (SELECT sum(balance) FROM accounts)::bigint FROM transfers",
        database=functions,
    )
    assert found.split() == [str(moved), "0"], found
    found = stack.postgres.run_sql(
        "SELECT count(*) || ' ' || (SELECT sum(balance) FROM ledger_balances)::bigint FROM ledger_transfers",
        database=rewards,
    )
    assert found.split() == [str(posted), "0"], found


def measure(*, transfers: int, runs: int) -> dict[str, Any]:
    """Rates of every side over ``runs``, alternating, with medians and ratios. The functions get a tenth of the
    transfers where they are called one by one, and a quarter in batches, so that all sides run about as long.
    """
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    shares = {"calls": transfers // 10, "batches": transfers // 4, "ours": transfers}
    with bench_stack(services=("rewards",)) as stack:
        rewards = empty_rewards(stack, name="ledger_ours")
        functions = stack.postgres.ensure_service(
            "rewards", passwords=stack.keyring.role_passwords("rewards"), database="ledger_functions"
        ).runtime
        stack.postgres.run_sql(f"SET ROLE rewards_owner; {SCHEMA}", database="ledger_functions")
        asyncio.run(fund(rewards))
        numbers = count()
        done = dict.fromkeys(SIDES, 0)

        def turn(side: str, *, transfers: int, clients: int) -> float:
            number = next(numbers)
            targets = targets_of(number, transfers)
            done[side] += transfers
            stack.postgres.run_sql("CHECKPOINT")
            if side == "calls":
                return asyncio.run(calls(functions, targets=targets, clients=clients))
            if side == "batches":
                return asyncio.run(batches(functions, targets=targets, clients=clients))
            return asyncio.run(ours(rewards, run=number, targets=targets, clients=clients))

        best = {}
        for side in SIDES:
            tried = {n: turn(side, transfers=max(shares[side] // 2, 100), clients=n) for n in CLIENTS[side]}
            best[side] = max(tried, key=lambda n: tried[n])
        for run in range(runs):
            for side in SIDES[run % 3 :] + SIDES[: run % 3]:
                rates[side].append(turn(side, transfers=shares[side], clients=best[side]))
        _check(
            stack,
            functions="ledger_functions",
            rewards="ledger_ours",
            moved=done["calls"] + done["batches"],
            posted=2 + WALLETS + done["ours"],
        )
    medians = {side: statistics.median(found) for side, found in rates.items()}
    return {
        "transfers": transfers,
        "clients": best,
        "runs": {side: [round(rate) for rate in found] for side, found in rates.items()},
        "medians": {side: round(rate) for side, rate in medians.items()},
        "ratio_to_calls": round(medians["ours"] / medians["calls"], 2),
        "ratio_to_batches": round(medians["ours"] / medians["batches"], 2),
    }
