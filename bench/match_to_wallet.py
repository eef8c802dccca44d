"""From match event to wallet credits through settlement and rewards, beside the raw one-hop floor.

A raw chain of two hops stands between them: what of the distance is the shape of two services with an outbox, and what
is the code in them. All sides get the same matches in the same run, alternating: messages are preloaded, 5 % of them
twice, then drained. A rate is credits per second between the first and the last look that saw progress, so that no
side pays for its start; after each run the books are held to what was sent. PostgreSQL runs with fsync; one hot pool,
20,000 wallets, four partitions.

    .venv/bin/prizewire bench --matches 6000 --runs 3
"""

import argparse
import os
import platform
import statistics
import sys
from functools import partial
from typing import Any

import orjson

from bench.measuring import Measured
from bench.messages import DUPLICATES_PERCENT, SOURCE, matches
from bench.sides import SERVICES, through_chain, through_floor, through_services
from bench.stacks import bench_stack
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.api import Api
from prizewire_devstack.stack import Stack

SIDES = ("floor", "chain", "services")


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


def measure(*, count: int, prizes: int, runs: int, signed: bool) -> dict[str, Any]:
    """Measure every side ``runs`` times, each run beginning with another; answers rates, medians and their ratios to
    the floor's.
    """
    key = MessageKey.from_seed(keyid="bench-1", seed=bytes(range(32)))
    results: list[Measured] = []
    with bench_stack(services=SERVICES) as stack:
        stack.kafka.allow_everybody("bench.")
        prepare(stack, prizes=prizes, key=key)
        for run in range(runs):
            values = matches(run=run, count=count, prizes=prizes, key=key if signed else None)
            target = count * prizes
            turns = [
                partial(through_floor, stack, run=run, values=values, target=target),
                partial(through_services, stack, values=values, target=target),
                partial(through_chain, stack, run=run, values=values, target=target),
            ]
            turns = turns[run % 3 :] + turns[: run % 3]
            results += [turn() for turn in turns]
    sides = {side: [result.figures() for result in results if result.side == side] for side in SIDES}
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
        "ratio": _ratio(medians, "services"),
        "chain_ratio": _ratio(medians, "chain"),
        "machine": {
            "processors": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
    }


def _ratio(medians: dict[str, dict[str, float]], side: str) -> float:
    return round(medians[side]["credits_per_s"] / medians["floor"]["credits_per_s"], 3)


def main() -> int:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="prizewire bench", description=__doc__)
    parser.add_argument("--matches", type=int, default=6_000, help="matches in each run")
    parser.add_argument("--prizes", type=int, default=8, help="prizes in each match")
    parser.add_argument("--runs", type=int, default=3, help="runs of every side")
    parser.add_argument("--signed", action="store_true", help="the game server signs its events")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = measure(count=options.matches, prizes=options.prizes, runs=options.runs, signed=options.signed)
    if options.json:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return 0
    print(
        f"match event to wallet credits: {options.matches} matches of {options.prizes} prizes, {options.runs} runs"
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
    print(
        f"          {found['chain_ratio']:>11.3f}   (chain / floor: the shape of two hops, without what we do in them)"
    )
    machine = found["machine"]
    print(f"machine   {machine['processors']} processors, {machine['system']}, Python {machine['python']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
