"""Counters are read so that their first event is seen: they begin at 0, or what is new counts whole."""

import re
from math import prod
from typing import Final

import pytest

from prizewire_chassis.metrics.definitions import START_MAX
from prizewire_devstack.home import repository_root
from prizewire_devstack.monitoring import rules
from prizewire_devstack.monitoring.dashboards import DASHBOARDS
from prizewire_devstack.monitoring.expressions import APPEARING, GAP_MAX
from scripts.metrics_page import all_metrics

BEGUN: Final = {
    "prizewire_batch_retries_total": "prizewire_chassis.kafka.subscribe",
    "prizewire_consumer_offsets_wrong_total": "prizewire_chassis.kafka.subscribe",
    "prizewire_consumer_rewound_total": "prizewire_chassis.kafka.subscribe",
    "prizewire_events_total": "prizewire_chassis.kafka.subscribe",
    "prizewire_stuck_events_discarded_total": "prizewire_chassis.kafka.subscribe",
    "prizewire_job_failures_total": "prizewire_chassis.jobs.JobRunner.start",
    "prizewire_rewards_prizes_paid_total": "prizewire_rewards.app.build",
    "prizewire_rewards_prizes_paid_amount_total": "prizewire_rewards.app.build",
    "prizewire_payout_quotes_total": "prizewire_payouts.metrics.begin_rail",
    "prizewire_rail_calls_total": "prizewire_payouts.metrics.begin_rail",
    "prizewire_rail_surprises_total": "prizewire_payouts.metrics.begin_rail",
    "prizewire_treasury_read_failures_total": "prizewire_payouts.payouts.jobs.treasury.treasury_job",
    "prizewire_provider_webhooks_total": "prizewire_webhooks.inbound.http.provider_controller",
    "prizewire_provider_webhooks_refused_total": "prizewire_webhooks.inbound.http.provider_controller",
}
"""Counters with labels that configuration decides, and what begins them at 0 for each value."""
ROSE: Final = re.compile(r"(?:increase|rate)\((prizewire_\w+)((?:\{[^}]*\})?)\[(\w+)\]\)")


def _expressions() -> list[str]:
    """Every expression of a rule or a panel."""
    of_rules = [
        rule["expr"]
        for document in rules.documents(root=repository_root()).values()
        for group in document["groups"]
        for rule in group["rules"]
    ]
    return of_rules + [
        query.expr for board in DASHBOARDS for panel in board.panels() for query in panel.queries
    ]


def test_each_counter_begins_at_zero_or_is_known_to_appear() -> None:
    """A new counter whose labels have no closed set, or too many values, is put into one of the two lists."""
    unbounded = {
        one["name"]
        for metrics in all_metrics().values()
        for one in metrics
        if one["kind"] == "counter" and one["labels"]
        if any(label["values"] is None for label in one["labels"].values())
        or prod(label["most"] for label in one["labels"].values()) > START_MAX
    }
    assert unbounded == BEGUN.keys() | APPEARING
    assert not BEGUN.keys() & APPEARING


@pytest.mark.parametrize("expr", _expressions())
def test_a_series_that_appears_counts_whole(expr: str) -> None:
    """`increase` alone would lose the first events of a series that was not there before, and its value alone those before a restart."""
    for metric, where, within in ROSE.findall(expr):
        if metric in APPEARING:
            series = f"{metric}{where}"
            last = f"last_over_time({series}[{within}])"
            before = f"last_over_time({series}[{GAP_MAX}] offset {within})"
            earlier = f"increase({series}[{within}]) - delta({series}[{within}])"
            assert f"({last} unless resets({series}[{within}]) > 0 unless {before})" in expr
            assert f"or ({last} + {earlier} unless {before})" in expr
