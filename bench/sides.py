"""The sides that are compared: the services, the raw one-hop floor, and the raw chain of two hops.

Each processes the same messages, and its credits are compared with them.
"""

import asyncio
import statistics
import subprocess
import sys
from collections.abc import Callable
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
from prizewire_devstack.waiting import eventually

SERVICES = ("settlement", "rewards")
PARTITIONS = 4
CHECKS_WITHIN_S = 600
"""How long the checks of a service may take over a long history, in seconds."""
COUNT_CREDITS = "SELECT count(*) FROM ledger_transfers WHERE type = 'prize_credited'"
COUNT_FLOOR = "SELECT count(*) FROM transfers"
PROGRESS = "SELECT coalesce(max(seq), 0) FROM ledger_transfers"
PROGRESS_FLOOR = "SELECT coalesce(max(seq), 0) FROM transfers"
"""A query during the measurement must be cheap: the last number of an index, not a count of the table."""
FLOOR_SUM = "SELECT sum(balance) - 1000000000000000 FROM balances"
CONSUMERS = ("settlement.matches", "rewards.settlements")


def through_services(stack: Stack, *, values: list[bytes], first: list[bytes], prizes: int) -> Measured:
    """Restart both services, let them make the ``first`` credits, then send ``values`` and watch the credits come."""
    database = stack.database("rewards").runtime
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(stack.stop, SERVICES))
    for service in SERVICES:
        stack.supervisor.restart(service)
    for service in SERVICES:
        stack.wait_ready(service)
    meter = Meter(stack, processes=[stack.supervisor.pid(service) for service in SERVICES])
    return _measure(
        stack,
        meter,
        side="services",
        database=database,
        topic=MATCHES.name,
        values=values,
        first=first,
        prizes=prizes,
        progress=PROGRESS,
        credits_query=COUNT_CREDITS,
        batches=lambda: batch_quantiles(stack),
    )


def _measure(
    stack: Stack,
    meter: Meter,
    *,
    side: str,
    database: str,
    topic: str,
    values: list[bytes],
    first: list[bytes],
    prizes: int,
    progress: str,
    credits_query: str,
    batches: Callable[[], tuple[float, float]],
) -> Measured:
    """Send ``first`` and wait for its credits, which count as the start; then send ``values`` and measure.

    Raises:
        AssertionError: there are not as many credits as prizes, or a duplicate had an effect.
    """
    base = asyncio.run(count(database, credits_query)) + credits_of(first, prizes=prizes)
    send(stack, topic, first)
    asyncio.run(watch(database, progress=progress, credits_query=credits_query, target=base))
    stack.postgres.run_sql("CHECKPOINT")
    before = meter.read()
    target = credits_of(values, prizes=prizes)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send, stack, topic, values)
        made, seconds = asyncio.run(
            watch(database, progress=progress, credits_query=credits_query, target=base + target)
        )
        sending.result()
    after = meter.read()
    found = asyncio.run(count(database, credits_query))
    assert found == base + target, f"{side}: {found} credits for {base + target} prizes"
    p50_ms, p99_ms = batches()
    measured = Measured(
        side=side,
        credits=made,
        seconds=seconds,
        target=target,
        start_cpu_s=before.side_cpu_s,
        cpu_s=after.side_cpu_s - before.side_cpu_s + after.postgres_cpu_s - before.postgres_cpu_s,
        log=meter.log_between(before, after),
        batch_p50_ms=p50_ms,
        batch_p99_ms=p99_ms,
    )
    print(f"{side} over {base:,} credits: {measured.figures()}", file=sys.stderr, flush=True)
    return measured


def credits_of(values: list[bytes], *, prizes: int) -> int:
    """How many credits these messages make: duplicates make none."""
    return len(set(values)) * prizes


def verify(stack: Stack) -> None:
    """Check every invariant of both services.

    Raises:
        AssertionError: one is broken.
    """
    token = stack.token("admin", subject="bench")
    with Api(base_url=stack.url, token=token, timeout_s=CHECKS_WITHIN_S) as api:
        for service in SERVICES:
            for check in api.get(f"/api/services/{service}/checks")["checks"]:
                assert check["ok"], f"{service}: {check}"


def settle_down(stack: Stack) -> None:
    """Finish the background work of PostgreSQL and the services after a history, so that no run is measured with it."""
    database = stack.database("rewards").runtime
    asyncio.run(eventually(lambda: _summed_up(database), deadline_s=CHECKS_WITHIN_S))
    for name in stack.postgres.run_sql("SELECT datname FROM pg_database WHERE datallowconn").splitlines():
        stack.postgres.run_sql("VACUUM (ANALYZE)", database=name)


async def _summed_up(database: str) -> bool:
    """Whether the ledger's checkpoint has reached its last transfer."""
    return (
        await count(
            database, "SELECT max(t.seq) - c.seq FROM ledger_transfers t, ledger_checkpoint c GROUP BY c.seq"
        )
        == 0
    )


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


def _report_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a raw loop prints when it ends."""
    with process:
        assert process.stdout is not None
        report: dict[str, Any] = orjson.loads(process.stdout.read())
    return report


class RawSide:
    """A raw loop with topics and databases of its own, which grow from run to run as those of the services do."""

    def __init__(self, stack: Stack, *, side: str, hops: int) -> None:
        """``hops`` is 1, or 2 with a process and an outbox before the loop that makes the credits."""
        self._stack = stack
        self._side = side
        self._topics = [f"bench.{side}.{hop}" for hop in range(hops)]
        stack.kafka.create_topics(dict.fromkeys(self._topics, PARTITIONS))
        self._database = database_of(stack, side, floor.SCHEMA)
        self._outbox = database_of(stack, f"{side}_outbox", chain.SCHEMA) if hops > 1 else None

    def run(self, *, values: list[bytes], first: list[bytes], prizes: int) -> Measured:
        """Start the processes, let them make the ``first`` credits, then send ``values`` and watch the credits come.

        Raises:
            AssertionError: the sums of the book are wrong.
        """
        loop = start(
            self._stack,
            "bench.floor",
            *("--topic", self._topics[-1]),
            database=self._database,
        )
        processes = [loop]
        if self._outbox is not None:
            forward = ("--topic", self._topics[0], "--onward", self._topics[1])
            processes.append(start(self._stack, "bench.chain", *forward, database=self._outbox))

        def batches() -> tuple[float, float]:
            for process in processes:
                process.terminate()
            report, *_ = [_report_of(process) for process in processes]
            seconds = sorted(report["batch_seconds"])
            return statistics.median(seconds) * 1000, seconds[int(len(seconds) * 0.99)] * 1000

        measured = _measure(
            self._stack,
            Meter(self._stack, processes=[process.pid for process in processes]),
            side=self._side,
            database=self._database,
            topic=self._topics[0],
            values=values,
            first=first,
            prizes=prizes,
            progress=PROGRESS_FLOOR,
            credits_query=COUNT_FLOOR,
            batches=batches,
        )
        assert asyncio.run(count(self._database, FLOOR_SUM)) == 0
        return measured
