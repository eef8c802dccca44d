"""From match event to wallet credits through settlement and rewards, beside the raw one-hop floor.

A raw chain of two hops is measured too. It shows which part of the difference comes from two services with an outbox between
them, and which from the code in them. All sides alternate within a run and get the same matches, 5 % of them twice. A rate is
credits per second between the first and the last look that saw progress. The start of a side is measured apart. After each
run the credits are compared with the matches that were sent. PostgreSQL runs with fsync; there are one hot pool, 20,000
wallets and four partitions.

    .venv/bin/prizewire bench wallet --prizes 8 --matches 6000 --runs 3
"""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

from bench.measuring import Measured, keep_log
from bench.messages import DUPLICATES_PERCENT, SOURCE, matches
from bench.sides import SERVICES, RawSide, settle_down, through_services, verify
from bench.stacks import bench_stack
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.api import Api
from prizewire_devstack.declarations import make_competition
from prizewire_devstack.stack import Stack

SIDES = ("floor", "chain", "services")
START = 1_000_000
START_MATCHES = 200


def prepare(stack: Stack, *, prizes: int, key: MessageKey) -> None:
    """A funded campaign, and two competitions over it: one that accepts unsigned results and one that requires signatures."""
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
            make_competition(
                api,
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


def measure(*, count: int, prizes: int, runs: int, signed: bool, history: int = 0) -> dict[str, Any]:
    """Measure every side ``runs`` times, each run beginning with another, over a history of ``history`` matches of each
    side. Returns figures, medians and the ratios of their rates to the floor's.
    """
    key = MessageKey.from_seed(keyid="bench-1", seed=bytes(range(32)))
    results: list[Measured] = []
    with bench_stack(services=SERVICES) as stack:
        stack.kafka.allow_everybody("bench.")
        keep_log(stack)
        prepare(stack, prizes=prizes, key=key)
        sides: list[Callable[..., Measured]] = [
            RawSide(stack, side="floor", hops=1).run,
            partial(through_services, stack),
            RawSide(stack, side="chain", hops=2).run,
        ]
        if history:
            past = matches(run=-1, count=history, prizes=prizes, key=None)
            for side in sides:
                side(values=past, first=_first(-1, prizes=prizes), prizes=prizes)
            settle_down(stack)
        for run in range(runs):
            values = matches(run=run, count=count, prizes=prizes, key=key if signed else None)
            order = sides[run % 3 :] + sides[: run % 3]
            results += [
                side(values=values, first=_first(run, prizes=prizes), prizes=prizes) for side in order
            ]
        verify(stack)
    found = {side: [result.figures() for result in results if result.side == side] for side in SIDES}
    medians = {
        side: {name: statistics.median(one[name] for one in figures) for name in figures[0]}
        for side, figures in found.items()
    }
    return {
        "matches": count,
        "prizes_per_match": prizes,
        "history": history,
        "duplicates_percent": DUPLICATES_PERCENT,
        "signed_matches": signed,
        "runs": found,
        "medians": medians,
        "ratio": _ratio(medians, "services"),
        "chain_ratio": _ratio(medians, "chain"),
    }


def _first(run: int, *, prizes: int) -> list[bytes]:
    """The matches of a side's start."""
    return matches(run=START + run, count=START_MATCHES, prizes=prizes, key=None)


def _ratio(medians: dict[str, dict[str, float]], side: str) -> float:
    return round(medians[side]["credits_per_s"] / medians["floor"]["credits_per_s"], 3)
