"""From match event to wallet credits through settlement and rewards, beside the raw one-hop floor.

Both sides get the same matches in the same run, alternating: messages are preloaded, 5 % of them twice, then drained.
A rate is credits per second between the first and the last look that saw progress, so that neither side pays for
its start; after each run the books are held to what was sent. PostgreSQL runs with fsync; one hot pool, 20,000 wallets, four partitions.

    .venv/bin/prizewire bench --matches 6000 --runs 3
"""

import argparse
import asyncio
import contextlib
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import psutil
from prometheus_client.parser import text_string_to_metric_families

from bench.floor import SCHEMA
from prizewire_contracts.encode import sign_raw
from prizewire_contracts.topics import MATCHES
from prizewire_contracts.trust import MessageKey
from prizewire_devstack import game_server
from prizewire_devstack.api import Api
from prizewire_devstack.home import Home
from prizewire_devstack.stack import Stack, StackOptions

SERVICES = ("settlement", "rewards")
SOURCE = "/game-servers/bench"
DUPLICATES_PERCENT = 5
WALLETS = 20_000
LOOK_S = 0.02
STILL_S = 0.5
DEADLINE_S = 600.0
COUNT_CREDITS = "SELECT count(*) FROM ledger_transfers WHERE type = 'prize_credited'"
COUNT_FLOOR = "SELECT count(*) FROM transfers"
PROGRESS = "SELECT coalesce(max(seq), 0) FROM ledger_transfers"
PROGRESS_FLOOR = "SELECT coalesce(max(seq), 0) FROM transfers"
"""What is asked while the clock runs must cost nothing: the last number of an index, not a count of the table."""
FLOOR_SUM = "SELECT sum(balance) - 1000000000000000 FROM balances"
CONSUMERS = ("settlement.matches", "rewards.settlements")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One side of one run: credits and the seconds over which they were seen, and what they cost.

    ``cpu_s`` is of this side's processes and PostgreSQL, ``wal_bytes`` of the whole server, both for ``target``
    credits; batch times reach from the decoded batch to its commit, for the services the slower of the two.
    """

    side: str
    credits: int
    seconds: float
    target: int
    cpu_s: float
    wal_bytes: int
    batch_p50_ms: float
    batch_p99_ms: float

    @property
    def rate(self) -> float:
        """Credits per second."""
        return self.credits / self.seconds

    def figures(self) -> dict[str, float]:
        """What is reported of it."""
        return {
            "credits_per_s": round(self.rate),
            "cpu_s_per_1000_credits": round(self.cpu_s / self.target * 1000, 3),
            "wal_bytes_per_credit": round(self.wal_bytes / self.target),
            "batch_p50_ms": round(self.batch_p50_ms, 1),
            "batch_p99_ms": round(self.batch_p99_ms, 1),
        }


class Meter:
    """Reads what the server and processes have used so far; the difference of two readings is what a side cost."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def wal_bytes(self) -> int:
        """Bytes of write-ahead log since the server was made."""
        return int(self._stack.postgres.run_sql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))

    def cpu_s(self, *parts: str) -> float:
        """Processor seconds of these parts with their children, ended ones included."""
        total = 0.0
        for part in parts:
            process = psutil.Process(self._stack.supervisor.pid(part))
            own = process.cpu_times()
            total += own.user + own.system + own.children_user + own.children_system
            for child in process.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    used = child.cpu_times()
                    total += used.user + used.system
        return total


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


def matches(*, run: int, count: int, prizes: int, key: MessageKey | None) -> list[bytes]:
    """``count`` results of ``prizes`` players each, some of them twice, in a repeatable order."""
    draw = random.Random(run)
    values = []
    for number in range(count):
        players = draw.sample(range(WALLETS), prizes)
        match_id = f"bench-{run}-{number}"
        raw: dict[str, Any] = {
            "specversion": "1.0",
            "id": match_id,
            "source": SOURCE,
            "type": "prizewire.match.completed.v1",
            "time": datetime.now(UTC).isoformat(),
            "subject": match_id,
            "datacontenttype": "application/json",
            "data": {
                "match_id": match_id,
                "competition": "bench-signed" if key else "bench",
                "results": [
                    {"player": f"p-{player}", "place": place} for place, player in enumerate(players, 1)
                ],
            },
        }
        values.append(orjson.dumps(sign_raw(topic=MATCHES.name, raw=raw, key=key) if key else raw))
    doubled = draw.sample(range(count), count * DUPLICATES_PERCENT // 100)
    for index in doubled:
        values.insert(draw.randrange(index + 1, len(values) + 1), values[index])
    return values


def send(stack: Stack, topic: str, values: list[bytes]) -> None:
    """Put messages on a topic, spread over its partitions by match."""
    from confluent_kafka import Producer  # noqa: PLC0415 - heavy, and needed by this function only

    producer = Producer({**stack.kafka.login("game-server").librdkafka(), "acks": "all", "linger.ms": 5})
    for value in values:
        match_id = orjson.loads(value)["id"]
        while True:
            try:
                producer.produce(topic, value=value, key=match_id.encode(), headers=game_server.HEADERS)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(60)


async def watch(database: str, *, progress: str, credits_query: str, target: int) -> tuple[int, float]:
    """Look until there are ``target`` credits in all; answers credits and seconds between the first look that saw progress
    and the last that saw any. ``progress`` rises with every transfer; when it stands still, the credits are counted.

    Raises:
        TimeoutError: the target was not reached within the deadline.
    """
    connection = await asyncpg.connect(database)
    try:
        base = last = await connection.fetchval(progress)
        first: tuple[int, float] | None = None
        changed = time.monotonic()
        give_up = changed + DEADLINE_S
        while True:
            seen = await connection.fetchval(progress)
            at = time.monotonic()
            if seen != last:
                last, changed = seen, at
                if first is None:
                    first = (await connection.fetchval(credits_query), time.monotonic())
            elif first is not None and at - changed > STILL_S:
                found = await connection.fetchval(credits_query)
                if found >= target:
                    return found - first[0], changed - first[1]
                changed = at
            if at > give_up:
                msg = f"{last - base} transfers for {target} credits after {DEADLINE_S:.0f} s"
                raise TimeoutError(msg)
            await asyncio.sleep(LOOK_S)
    finally:
        await connection.close()


async def count(database: str, query: str) -> int:
    """The count that ``query`` answers."""
    connection = await asyncpg.connect(database)
    try:
        found: int = await connection.fetchval(query)
        return found
    finally:
        await connection.close()


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


def through_floor(stack: Stack, *, run: int, values: list[bytes], target: int) -> Measured:
    """The same messages on a topic of their own, drained by one process into its own tables."""
    topic, database = f"bench.floor.{run}", f"floor_{run}"
    meter = Meter(stack)
    stack.kafka.create_topics({topic: 4})
    urls = stack.postgres.ensure_service(
        "rewards", passwords=stack.keyring.role_passwords("rewards"), database=database
    )
    stack.postgres.run_sql(f"SET ROLE rewards_owner; {SCHEMA}", database=database)
    send(stack, topic, values)
    stack.postgres.run_sql("CHECKPOINT")
    cpu_s, wal_bytes = meter.cpu_s("postgres"), meter.wal_bytes()
    given = {"database": urls.runtime, "kafka": stack.kafka.login("rewards").environment()}
    with subprocess.Popen(
        [sys.executable, "-m", "bench.floor", "--topic", topic, "--credits", str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=stack.root,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(orjson.dumps(given).decode() + "\n")
        process.stdin.close()
        made, seconds = asyncio.run(
            watch(urls.runtime, progress=PROGRESS_FLOOR, credits_query=COUNT_FLOOR, target=target)
        )
        assert process.stdout is not None
        told = orjson.loads(process.stdout.read())
    assert asyncio.run(count(urls.runtime, COUNT_FLOOR)) == target
    assert asyncio.run(count(urls.runtime, FLOOR_SUM)) == 0
    batches = sorted(told["batch_seconds"])
    return Measured(
        side="floor",
        credits=made,
        seconds=seconds,
        target=target,
        cpu_s=meter.cpu_s("postgres") - cpu_s + told["cpu_s"],
        wal_bytes=meter.wal_bytes() - wal_bytes,
        batch_p50_ms=statistics.median(batches) * 1000,
        batch_p99_ms=batches[int(len(batches) * 0.99)] * 1000,
    )


def prepare(stack: Stack, *, prizes: int, key: MessageKey) -> None:
    """A funded campaign, and two competitions over it: one that takes unsigned results, one that insists."""
    with Api(base_url=stack.url, token=stack.token("admin", "organizer", "operator", subject="bench")) as api:
        campaign = api.post(
            "/api/campaigns", {"name": "bench", "asset": "USDC", "delivery": "wallet"}, key="bench:campaign"
        )["id"]
        api.post(
            f"/api/campaigns/{campaign}/fund",
            {"amount": "100000000000.00", "reference": "bench"},
            key="bench:fund",
        )
        api.post(f"/api/campaigns/{campaign}/activate", {})
        pinned = {
            "keyid": key.keyid,
            "public_key": key.public_key,
            "not_before": "2020-01-01T00:00:00+00:00",
            "not_after": "2100-01-01T00:00:00+00:00",
        }
        for name, keys in (("bench", []), ("bench-signed", [pinned])):
            api.post(
                "/api/competitions",
                {
                    "id": name,
                    "name": name,
                    "campaign": campaign,
                    "asset": "USDC",
                    "gross_prize": "100.00",
                    "platform_fee_bps": 0,
                    "organizer_fee_bps": 0,
                    "template": {"table": [{"places": f"1-{prizes}", "percent_total": "100"}]},
                    "ties": {"policy": "split"},
                    "rank_by": {"by": "place"},
                    "sources": [{"source": SOURCE, "keys": keys}],
                    "dispute_window_s": 0,
                },
            )


@contextmanager
def bench_stack() -> Iterator[Stack]:
    """A stack of its own, with settlement and rewards only."""
    options = StackOptions(services=SERVICES, log_level="WARNING")
    with (
        tempfile.TemporaryDirectory(prefix="prizewire-bench-", ignore_cleanup_errors=True) as directory,
        Stack(home=Home(root=Path(directory)), options=options) as stack,
    ):
        yield stack


def measure(*, count: int, prizes: int, runs: int, signed: bool) -> dict[str, Any]:
    """Alternate floor and services ``runs`` times; answers rates, medians and the ratio of the medians."""
    key = MessageKey.from_seed(keyid="bench-1", seed=bytes(range(32)))
    results: list[Measured] = []
    with bench_stack() as stack:
        stack.kafka.allow_everybody("bench.")
        prepare(stack, prizes=prizes, key=key)
        for run in range(runs):
            values = matches(run=run, count=count, prizes=prizes, key=key if signed else None)
            target = count * prizes
            services = partial(through_services, stack, values=values, target=target)
            floor = partial(through_floor, stack, run=run, values=values, target=target)
            first, second = (services, floor) if run % 2 else (floor, services)
            results += [first(), second()]
    sides = {
        side: [result.figures() for result in results if result.side == side]
        for side in ("floor", "services")
    }
    medians = {
        side: {name: statistics.median(one[name] for one in found) for name in found[0]}
        for side, found in sides.items()
    }
    return {
        "matches": count,
        "prizes_per_match": prizes,
        "duplicates_percent": DUPLICATES_PERCENT,
        "signed_matches": signed,
        "runs": sides,
        "medians": medians,
        "ratio": round(medians["services"]["credits_per_s"] / medians["floor"]["credits_per_s"], 3),
        "machine": {
            "processors": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
    }


def main() -> int:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="prizewire bench", description=__doc__)
    parser.add_argument("--matches", type=int, default=6_000, help="matches in each run")
    parser.add_argument("--prizes", type=int, default=8, help="prizes in each match")
    parser.add_argument("--runs", type=int, default=3, help="pairs of runs")
    parser.add_argument("--signed", action="store_true", help="the game server signs its events")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = measure(count=options.matches, prizes=options.prizes, runs=options.runs, signed=options.signed)
    if options.json:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return 0
    print(
        f"match event to wallet credits: {options.matches} matches of {options.prizes} prizes, {options.runs} pairs"
    )
    print(f"{'':10}{'credits/s':>11}{'spread':>17}{'CPU s/1000':>12}{'WAL B':>8}{'p50 ms':>9}{'p99 ms':>9}")
    for side, runs in found["runs"].items():
        rates = [one["credits_per_s"] for one in runs]
        middle = found["medians"][side]
        print(
            f"{side:10}{middle['credits_per_s']:>11.0f}{f'{min(rates)}-{max(rates)}':>17}"
            f"{middle['cpu_s_per_1000_credits']:>12.3f}{middle['wal_bytes_per_credit']:>8.0f}"
            f"{middle['batch_p50_ms']:>9.1f}{middle['batch_p99_ms']:>9.1f}"
        )
    print(f"ratio     {found['ratio']:>11.3f}   (services / floor, medians)")
    machine = found["machine"]
    print(f"machine   {machine['processors']} processors, {machine['system']}, Python {machine['python']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
