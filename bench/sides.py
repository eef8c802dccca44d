"""The sides that are compared: the services, the raw one-hop floor, and the raw chain of two hops.

Each drains the same preloaded messages and is held to the credits that it must have made.
"""

import asyncio
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import orjson
from prometheus_client.parser import text_string_to_metric_families

from bench import chain, floor
from bench.measuring import Measured, Meter, count, watch
from bench.messages import send
from prizewire_contracts.topics import MATCHES
from prizewire_devstack.api import Api
from prizewire_devstack.stack import Stack

SERVICES = ("settlement", "rewards")
PARTITIONS = 4
COUNT_CREDITS = "SELECT count(*) FROM ledger_transfers WHERE type = 'prize_credited'"
COUNT_FLOOR = "SELECT count(*) FROM transfers"
PROGRESS = "SELECT coalesce(max(seq), 0) FROM ledger_transfers"
PROGRESS_FLOOR = "SELECT coalesce(max(seq), 0) FROM transfers"
"""What is asked while the clock runs must cost nothing: the last number of an index, not a count of the table."""
FLOOR_SUM = "SELECT sum(balance) - 1000000000000000 FROM balances"
CONSUMERS = ("settlement.matches", "rewards.settlements")


def through_services(stack: Stack, *, values: list[bytes], target: int) -> Measured:
    """Preload while both services are stopped, then start them and watch the credits come."""
    database = stack.database("rewards").runtime
    meter = Meter(stack)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(stack.stop, SERVICES))
    base = asyncio.run(count(database, COUNT_CREDITS))
    send(stack, MATCHES.name, values)
    stack.postgres.run_sql("CHECKPOINT")
    cpu_s, wal_bytes = meter.cpu_s("postgres"), meter.wal_bytes()
    for service in SERVICES:
        stack.supervisor.restart(service)
    made, seconds = asyncio.run(
        watch(database, progress=PROGRESS, credits_query=COUNT_CREDITS, target=base + target)
    )
    for service in SERVICES:
        stack.wait_ready(service)
    p50_ms, p99_ms = batch_quantiles(stack)
    measured = Measured(
        side="services",
        credits=made,
        seconds=seconds,
        target=target,
        cpu_s=meter.cpu_s("postgres", *SERVICES) - cpu_s,
        wal_bytes=meter.wal_bytes() - wal_bytes,
        batch_p50_ms=p50_ms,
        batch_p99_ms=p99_ms,
    )
    verify(stack, credits_total=base + target)
    return measured


def verify(stack: Stack, *, credits_total: int) -> None:
    """Hold the books to what was sent: as many credits as prizes, duplicates without effect, every invariant.

    Raises:
        AssertionError: the services were fast, but wrong.
    """
    found = asyncio.run(count(stack.database("rewards").runtime, COUNT_CREDITS))
    assert found == credits_total, f"{found} credits for {credits_total} prizes"
    with Api(base_url=stack.url, token=stack.token("admin", subject="bench")) as api:
        for service in SERVICES:
            for check in api.get(f"/api/services/{service}/checks")["checks"]:
                assert check["ok"], f"{service}: {check}"


def batch_quantiles(stack: Stack) -> tuple[float, float]:
    """Median and 99th percentile of batch times in ms, as bucket bounds, of the slower service."""
    found = []
    for service in SERVICES:
        text = httpx.get(f"{stack.service_url(service)}/metrics", timeout=10, trust_env=False).text
        buckets = [
            (sample.labels["le"], sample.value)
            for family in text_string_to_metric_families(text)
            if family.name == "prizewire_batch_seconds"
            for sample in family.samples
            if sample.name.endswith("_bucket") and sample.labels["consumer"] in CONSUMERS
        ]
        total = buckets[-1][1]
        bounds = [
            next(float(bound) for bound, below in buckets if below >= total * share) * 1000
            for share in (0.5, 0.99)
        ]
        found.append((bounds[0], bounds[1]))
    return max(found, key=lambda pair: pair[1])


def database_of(stack: Stack, name: str, schema: str) -> str:
    """A new database with its tables, and the URL by which a raw loop reaches it."""
    urls = stack.postgres.ensure_service(
        "rewards", passwords=stack.keyring.role_passwords("rewards"), database=name
    )
    stack.postgres.run_sql(f"SET ROLE rewards_owner; {schema}", database=name)
    return urls.runtime


def start(stack: Stack, module: str, *arguments: str, database: str) -> subprocess.Popen[str]:
    """A raw loop as a process of its own, as the services are; it gets its credentials on standard input."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=stack.root,
    )
    assert process.stdin is not None
    given = {"database": database, "kafka": stack.kafka.login("rewards").environment()}
    process.stdin.write(orjson.dumps(given).decode() + "\n")
    process.stdin.close()
    return process


def _told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a raw loop says of itself when it ends."""
    with process:
        assert process.stdout is not None
        told: dict[str, Any] = orjson.loads(process.stdout.read())
    return told


def through_floor(stack: Stack, *, run: int, values: list[bytes], target: int) -> Measured:
    """The same messages on a topic of their own, drained by one process into its own tables."""
    topic = f"bench.floor.{run}"
    stack.kafka.create_topics({topic: PARTITIONS})
    database = database_of(stack, f"floor_{run}", floor.SCHEMA)
    return _raw(stack, side="floor", first=None, topic=topic, database=database, values=values, target=target)


def through_chain(stack: Stack, *, run: int, values: list[bytes], target: int) -> Measured:
    """The same messages, moved by a first process through an outbox to a second topic, and drained there."""
    topic, onward = f"bench.chain.{run}", f"bench.onward.{run}"
    stack.kafka.create_topics({topic: PARTITIONS, onward: PARTITIONS})
    before = database_of(stack, f"chain_{run}", chain.SCHEMA)
    database = database_of(stack, f"onward_{run}", floor.SCHEMA)
    return _raw(
        stack,
        side="chain",
        first=(before, topic),
        topic=onward,
        database=database,
        values=values,
        target=target,
    )


def _raw(
    stack: Stack,
    *,
    side: str,
    first: tuple[str, str] | None,
    topic: str,
    database: str,
    values: list[bytes],
    target: int,
) -> Measured:
    """Drain ``topic`` by the floor's loop; ``first`` is the database and the topic of a hop before it."""
    meter = Meter(stack)
    send(stack, topic if first is None else first[1], values)
    stack.postgres.run_sql("CHECKPOINT")
    cpu_s, wal_bytes = meter.cpu_s("postgres"), meter.wal_bytes()
    last = start(stack, "bench.floor", "--topic", topic, "--credits", str(target), database=database)
    before = first and start(stack, "bench.chain", "--topic", first[1], "--onward", topic, database=first[0])
    made, seconds = asyncio.run(
        watch(database, progress=PROGRESS_FLOOR, credits_query=COUNT_FLOOR, target=target)
    )
    told = _told(last)
    if before:
        before.terminate()
        told["cpu_s"] += _told(before)["cpu_s"]
    assert asyncio.run(count(database, COUNT_FLOOR)) == target
    assert asyncio.run(count(database, FLOOR_SUM)) == 0
    batches = sorted(told["batch_seconds"])
    return Measured(
        side=side,
        credits=made,
        seconds=seconds,
        target=target,
        cpu_s=meter.cpu_s("postgres") - cpu_s + told["cpu_s"],
        wal_bytes=meter.wal_bytes() - wal_bytes,
        batch_p50_ms=statistics.median(batches) * 1000,
        batch_p99_ms=batches[int(len(batches) * 0.99)] * 1000,
    )
