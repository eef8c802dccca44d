"""The time from the publishing of a match's result to the credit in the wallets, at a steady rate.

Beside it, in turns of the same run, are a raw chain of two hops (``chain.py``) and a bare loop: the same messages at the
same rate, consumed and written by one statement and one commit for each poll. The moment of a credit is that of its commit,
which PostgreSQL records for all sides (``track_commit_timestamp``). Queries during a turn would take processor time from
the side that is measured.

    .venv/bin/prizewire bench latency --rate 200 --seconds 15
"""

import argparse
import asyncio
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaProducer

from bench import chain, floor
from bench.floor import BATCH, IDLE_MS, consumer_of, login
from bench.match_to_wallet import prepare
from bench.messages import SOURCE, matches
from bench.sides import PARTITIONS, SERVICES, database_of, start
from bench.stacks import bench_stack
from prizewire_contracts.ids import round_id
from prizewire_contracts.topics import MATCHES
from prizewire_contracts.trust import MessageKey
from prizewire_devstack import game_server
from prizewire_devstack.stack import Stack

LOOK_S = 0.25
WARM_S = 3.0
DEADLINE_S = 60.0
SCHEMA = "CREATE TABLE seen (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL)"
SEEN = "SELECT id, pg_xact_commit_timestamp(xmin) AS at FROM seen WHERE seq > $1"
CREDITED = (
    "SELECT split_part(g.cause, '/', 2) AS id, max(pg_xact_commit_timestamp(t.xmin)) AS at FROM ledger_transfers t "
    "JOIN ledger_groups g ON g.no = t.group_no WHERE t.seq > $1 AND t.type = 'prize_credited' GROUP BY 1"
)
CHAINED = "SELECT event_id AS id, max(pg_xact_commit_timestamp(xmin)) AS at FROM transfers WHERE seq > $1 GROUP BY 1"
PRIZES = 8
_BARE, _CHAIN, _ONWARD = "bench.latency", "bench.latency.chain", "bench.latency.onward"


@dataclass(frozen=True, kw_only=True)
class _Side:
    """The topic of a side, and the query for its credits: each match makes ``rows`` rows of ``table``. ``loops`` are raw loops
    that run for as long as a turn: module, arguments, database.
    """

    topic: str
    database: str
    query: str
    table: str
    rows: int
    loops: Sequence[tuple[str, Sequence[str], str]] = ()


async def _bare(*, database: str, kafka: dict[str, str], topic: str) -> None:
    """Consume and commit, and nothing else, until ended."""
    connection = await asyncpg.connect(database)
    consumer = consumer_of(kafka, topic)
    await consumer.start()
    while True:
        batches = await consumer.getmany(timeout_ms=IDLE_MS, max_records=BATCH)
        found = [orjson.loads(record.value)["id"] for records in batches.values() for record in records]
        if found:
            await connection.execute("INSERT INTO seen (id) SELECT unnest($1::text[])", found)
            await consumer.commit()


async def _publish(
    producer: AIOKafkaProducer, topic: str, values: list[bytes], *, rate: float
) -> dict[str, float]:
    """Send at a steady rate; returns the time at which each message was sent, by id."""
    published: dict[str, float] = {}
    begin = time.time()
    for number, value in enumerate(values):
        pause = begin + number / rate - time.time()
        if pause > 0:
            await asyncio.sleep(pause)
        identifier = orjson.loads(value)["id"]
        published[identifier] = time.time()
        await producer.send(topic, value, key=identifier.encode(), headers=game_server.HEADERS)
    await producer.flush()
    return published


async def _commits(side: _Side, *, since: int, count: int) -> dict[str, float]:
    """The commit time of each of ``count`` matches, by id, once all of their rows exist."""
    connection = await asyncpg.connect(side.database)
    rows = count * side.rows
    give_up = time.monotonic() + DEADLINE_S
    while (
        found := await connection.fetchval(f"SELECT count(*) FROM {side.table} WHERE seq > $1", since)
    ) < rows:
        if time.monotonic() > give_up:
            msg = f"{found} of {rows} rows existed after {DEADLINE_S:.0f} s"
            raise TimeoutError(msg)
        await asyncio.sleep(LOOK_S)
    seen = {row["id"]: row["at"].timestamp() for row in await connection.fetch(side.query, since)}
    await connection.close()
    assert len(seen) == count, f"{len(seen)} of {count} in {found} rows"
    return seen


async def _turn(side: _Side, *, kafka: dict[str, str], values: list[bytes], rate: float) -> list[float]:
    """Milliseconds from publishing to commit of every match but those of the warm-up."""
    connection = await asyncpg.connect(side.database)
    since = await connection.fetchval(f"SELECT coalesce(max(seq), 0) FROM {side.table}")
    await connection.close()
    producer = AIOKafkaProducer(**login(kafka), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        published = await _publish(producer, side.topic, values, rate=rate)
    finally:
        await producer.stop()
    seen = await _commits(side, since=since, count=len(values))
    warm = min(published.values()) + WARM_S
    rounds = {name: str(round_id(source=SOURCE, match_id=name)) for name in published}
    return sorted(
        (seen.get(name, seen.get(rounds[name], math.inf)) - at) * 1000
        for name, at in published.items()
        if at >= warm
    )


def _sides(stack: Stack) -> dict[str, _Side]:
    for topic in (_BARE, _CHAIN, _ONWARD):
        stack.kafka.create_topics({topic: PARTITIONS})
    bare = database_of(stack, "latency_bare", SCHEMA)
    first = database_of(stack, "latency_chain", chain.SCHEMA)
    last = database_of(stack, "latency_onward", floor.SCHEMA)
    return {
        "bare": _Side(
            topic=_BARE,
            database=bare,
            query=SEEN,
            table="seen",
            rows=1,
            loops=[("bench.latency", ["--topic", _BARE], bare)],
        ),
        "chain": _Side(
            topic=_CHAIN,
            database=last,
            query=CHAINED,
            table="transfers",
            rows=PRIZES,
            loops=[
                ("bench.chain", ["--topic", _CHAIN, "--onward", _ONWARD], first),
                ("bench.floor", ["--topic", _ONWARD], last),
            ],
        ),
        "services": _Side(
            topic=MATCHES.name,
            database=stack.database("rewards").runtime,
            query=CREDITED,
            table="ledger_transfers",
            rows=PRIZES + 1,
        ),
    }


def measure(*, rate: float, seconds: float, runs: int) -> dict[str, Any]:
    """Quantiles of each side by turn, medians of them, and the ratios of the services' to the raw chain's."""
    key = MessageKey.from_seed(keyid="bench-1", seed=bytes(range(32)))
    count = int(rate * (seconds + WARM_S))
    with bench_stack(services=SERVICES) as stack:
        stack.kafka.allow_everybody("bench.")
        _note_commits(stack)
        prepare(stack, prizes=PRIZES, key=key)
        kafka = stack.kafka.login("game-server").environment()
        sides = _sides(stack)
        found: dict[str, list[list[float]]] = {name: [] for name in sides}
        for run in range(runs):
            values = list(dict.fromkeys(matches(run=run, count=count, prizes=PRIZES, key=None)))
            order = list(sides)
            for name in order[run % 3 :] + order[: run % 3]:
                side = sides[name]
                with _running(stack, side):
                    found[name].append(uvloop.run(_turn(side, kafka=kafka, values=values, rate=rate)))
    quantiles = {name: [_quantiles(turn) for turn in turns] for name, turns in found.items()}
    medians = {
        name: {share: round(statistics.median(turn[share] for turn in turns), 1) for share in turns[0]}
        for name, turns in quantiles.items()
    }
    return {
        "matches_per_s": rate,
        "seconds": seconds,
        "runs": quantiles,
        "medians": medians,
        "ratio": round(medians["services"]["p50_ms"] / medians["chain"]["p50_ms"], 2),
        "p99_ratio": round(medians["services"]["p99_ms"] / medians["chain"]["p99_ms"], 2),
    }


@contextmanager
def _running(stack: Stack, side: _Side) -> Iterator[None]:
    """Run the side's raw loops only in its own turns."""
    processes = [
        start(stack, module, *arguments, database=database) for module, arguments, database in side.loops
    ]
    try:
        yield
    finally:
        for process in processes:
            with process:
                process.terminate()
                assert process.stdout is not None
                process.stdout.read()


def _note_commits(stack: Stack) -> None:
    """Let PostgreSQL record the time of each commit."""
    stack.postgres.run_sql("ALTER SYSTEM SET track_commit_timestamp = on")
    stack.postgres.stop()
    stack.postgres.start()
    stack.postgres.wait_ready()
    for service in SERVICES:
        stack.wait_ready(service)


def _quantiles(milliseconds: list[float]) -> dict[str, float]:
    return {
        f"p{share}_ms": round(milliseconds[min(len(milliseconds) - 1, len(milliseconds) * share // 100)], 1)
        for share in (50, 90, 99)
    }


def main() -> None:
    """The bare loop as a process of its own; credentials come as JSON on standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topic", required=True)
    options = parser.parse_args()
    given = orjson.loads(input())
    uvloop.run(_bare(database=given["database"], kafka=given["kafka"], topic=options.topic))


if __name__ == "__main__":
    main()
