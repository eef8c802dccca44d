"""From match event to wallet credits through settlement and rewards, beside the raw one-hop floor.

Both sides get the same matches in the same run, alternating: messages are preloaded, 5 % of them twice, then drained.
A rate is credits per second between the first and the last look that saw progress, so that neither side pays for
its start. PostgreSQL runs with fsync; one hot pool, 20,000 wallets, four partitions.

    .venv/bin/prizewire bench --matches 4000 --runs 3
"""

import argparse
import asyncio
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
import orjson

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
LOOK_S = 0.05
DEADLINE_S = 600.0
COUNT_CREDITS = "SELECT count(*) FROM ledger_transfers WHERE type = 'prize_credited'"
COUNT_FLOOR = "SELECT count(*) FROM transfers"


@dataclass(frozen=True, slots=True)
class Measured:
    """One side of one run: credits per second, and the seconds over which they were seen."""

    side: str
    credits: int
    seconds: float

    @property
    def rate(self) -> float:
        """Credits per second."""
        return self.credits / self.seconds


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


async def watch(database: str, query: str, *, target: int, base: int) -> tuple[int, float]:
    """Look until ``target`` more credits than ``base`` are there; answers credits and seconds between the first look
    that saw progress and the last.

    Raises:
        TimeoutError: the target was not reached within the deadline.
    """
    connection = await asyncpg.connect(database)
    first: tuple[int, float] | None = None
    give_up = time.monotonic() + DEADLINE_S
    try:
        while True:
            seen = await connection.fetchval(query) - base
            at = time.monotonic()
            if seen and first is None:
                first = (seen, at)
            if seen >= target and first is not None:
                return seen - first[0], at - first[1]
            if at > give_up:
                msg = f"{seen} of {target} credits after {DEADLINE_S:.0f} s"
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
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(stack.stop, SERVICES))
    base = asyncio.run(count(database, COUNT_CREDITS))
    send(stack, MATCHES.name, values)
    stack.postgres.run_sql("CHECKPOINT")
    for service in SERVICES:
        stack.supervisor.restart(service)
    made, seconds = asyncio.run(watch(database, COUNT_CREDITS, target=target, base=base))
    for service in SERVICES:
        stack.wait_ready(service)
    return Measured("services", made, seconds)


def through_floor(stack: Stack, *, run: int, values: list[bytes], target: int) -> Measured:
    """The same messages on a topic of their own, drained by one process into its own tables."""
    topic, database = f"bench.floor.{run}", f"floor_{run}"
    stack.kafka.create_topics({topic: 4})
    urls = stack.postgres.ensure_service(
        "rewards", passwords=stack.keyring.role_passwords("rewards"), database=database
    )
    owner = "rewards_owner"
    stack.postgres.run_sql(f"SET ROLE {owner}; {SCHEMA}", database=database)
    send(stack, topic, values)
    stack.postgres.run_sql("CHECKPOINT")
    given = {"database": urls.runtime, "kafka": stack.kafka.login("rewards").environment()}
    with subprocess.Popen(
        [sys.executable, "-m", "bench.floor", "--topic", topic, "--credits", str(target)],
        stdin=subprocess.PIPE,
        text=True,
        cwd=stack.root,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(orjson.dumps(given).decode() + "\n")
        process.stdin.close()
        made, seconds = asyncio.run(watch(urls.runtime, COUNT_FLOOR, target=target, base=0))
        process.wait(timeout=30)
    return Measured("floor", made, seconds)


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
    rates = {
        side: [round(result.rate) for result in results if result.side == side]
        for side in ("floor", "services")
    }
    medians = {side: statistics.median(found) for side, found in rates.items()}
    return {
        "matches": count,
        "prizes_per_match": prizes,
        "duplicates_percent": DUPLICATES_PERCENT,
        "signed_matches": signed,
        "credits_per_s": rates,
        "median_credits_per_s": medians,
        "ratio": round(medians["services"] / medians["floor"], 3),
        "machine": {
            "processors": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
    }


def main() -> int:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="prizewire bench", description=__doc__)
    parser.add_argument("--matches", type=int, default=4_000, help="matches in each run")
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
    for side, rates in found["credits_per_s"].items():
        print(f"  {side:9} median {found['median_credits_per_s'][side]:>8.0f} credits/s   runs {rates}")
    print(f"  ratio     {found['ratio']:.3f}   (services / floor)")
    machine = found["machine"]
    print(f"  machine   {machine['processors']} processors, {machine['system']}, Python {machine['python']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
