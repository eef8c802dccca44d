"""From match event to wallet credits through settlement and rewards, beside the raw one-hop floor.

A raw chain of two hops stands between them: what of the distance is the shape of two services with an outbox, and what
is the code in them. All sides get the same matches in the same run, alternating: messages are preloaded, 5 % of them
twice, then drained. A rate is credits per second between the first and the last look that saw progress, so that no
side pays for its start; after each run the books are held to what was sent. PostgreSQL runs with fsync; one hot pool,
20,000 wallets, four partitions.

    .venv/bin/prizewire bench wallet --prizes 8 --matches 6000 --runs 3
"""

import statistics
from functools import partial
from typing import Any

from bench.measuring import Measured
from bench.messages import DUPLICATES_PERCENT, SOURCE, matches
from bench.sides import SERVICES, through_chain, through_floor, through_services
from bench.stacks import bench_stack
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.api import Api
from prizewire_devstack.declarations import make_competition
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
    }


def _ratio(medians: dict[str, dict[str, float]], side: str) -> float:
    return round(medians[side]["credits_per_s"] / medians["floor"]["credits_per_s"], 3)
