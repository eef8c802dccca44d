"""Every query of every panel against a real Prometheus that scraped the running stack through troubles."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from prizewire_devstack.api import Api
from prizewire_devstack.monitoring.dashboards import DASHBOARDS
from prizewire_devstack.monitoring.figures import from_prometheus
from prizewire_devstack.monitoring.panels import chosen
from prizewire_devstack.monitoring.query import Prometheus
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.stack.monitoring import MonitoringOptions, beside
from prizewire_devstack.waiting import NotInTimeError, eventually_sync
from tests.command import answered
from tests.troubles import Troubles

DEADLINE_S: Final = 300.0
SCRAPE_S: Final = 1.0
NOT_HERE: Final[dict[tuple[str, str], str]] = {
    ("Age of the deny list", "age"): "The stack has no deny list.",
    (
        "Share of requests with status 5xx",
        "{{service}}",
    ): "No request of the traffic to the API fails with 5xx.",
    ("Age of the newest base backup", "{{namespace}}"): "The stack has no operator of PostgreSQL.",
    ("Time since the log was archived", "{{namespace}}"): "The stack has no operator of PostgreSQL.",
    (
        "Wallets, 24 h",
        "automatic withdrawals {{outcome}}",
    ): "No player of the traffic withdraws automatically.",
}
"""Queries, by panel and legend, that the traffic gives no series, with the reason."""
OPEN_STATES: Final = ("requested", "held", "approved", "submitting", "pending", "unknown")

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def troubles(full_stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Watched"]:
    """The stack after payments, failures, holds, a stuck event and an outage, with a Prometheus that saw all of it."""
    directory: Path = tmp_path_factory.mktemp("prometheus")
    options = MonitoringOptions(scrape_interval_s=SCRAPE_S, evaluation_interval_s=5.0)
    with (
        beside(full_stack, directory=directory, options=options) as monitoring,
        Troubles(full_stack, "boards") as traffic,
        Prometheus(monitoring.url) as asked,
    ):
        eventually_sync(
            lambda: len(asked.now('up{job="prizewire"} == 1')) >= len(SERVICES), deadline_s=DEADLINE_S
        )
        for number in range(2):
            traffic.pay(number)
            traffic.fail(number)
            traffic.claim(number)
        traffic.reject_a_claim()
        traffic.hold(0)
        traffic.stick()
        traffic.refuse_a_request()
        traffic.lose_a_rail()
        traffic.pause_stellar(2)
        yield Watched(traffic=traffic, asked=asked, url=monitoring.url)


class Watched:
    """The traffic, and the Prometheus that watched it."""

    def __init__(self, *, traffic: Troubles, asked: Prometheus, url: str) -> None:
        self.traffic = traffic
        self.asked = asked
        self.url = url

    def answers(self, expr: str) -> dict[tuple[str, ...], float]:
        """The finite values now, by the values of all labels in the order of their names."""
        return {
            tuple(one.labels[name] for name in sorted(one.labels)): one.value
            for one in self.asked.now(expr)
            if math.isfinite(one.value)
        }


def choice(traffic: Troubles) -> dict[str, str]:
    """Real values of the variables of dashboards."""
    with traffic.admin() as api:
        large: dict[str, Any] = api.get(f"/api/campaigns/{traffic.large.campaign}")
    campaigns = (large["name"], "other")
    return {"campaign": "|".join(campaigns), "rail": "fake|stellar", "service": "|".join(SERVICES)}


def test_every_query_of_every_panel_has_an_answer(troubles: Watched) -> None:
    """None is empty, invalid, or no number."""
    asked = [
        (panel, query)
        for dashboard in DASHBOARDS
        for panel in dashboard.panels()
        for query in panel.queries
        if (panel.title, query.legend) not in NOT_HERE
    ]
    values = choice(troubles.traffic)

    def empty() -> list[str]:
        return [
            f"{panel.title}: {query.expr}"
            for panel, query in asked
            if not troubles.answers(chosen(query.expr, values))
        ]

    # Services count at intervals, and a rate needs several scrapes.
    with suppress(NotInTimeError):
        eventually_sync(lambda: not empty(), deadline_s=DEADLINE_S)
    assert empty() == []


def test_reasons_are_of_queries_that_exist() -> None:
    """The table of queries without a series has no line that is out of date."""
    known = {
        (panel.title, query.legend)
        for dashboard in DASHBOARDS
        for panel in dashboard.panels()
        for query in panel.queries
    }
    assert NOT_HERE.keys() <= known


def test_the_outage_is_seen(troubles: Watched) -> None:
    """The rail that is away has an open circuit."""
    expr = 'max(max_over_time(prizewire_rail_circuit{rail="fake"}[1h])) > 0'
    assert eventually_sync(lambda: troubles.answers(expr), deadline_s=DEADLINE_S)


def test_the_pool_of_a_campaign_is_what_the_api_says(troubles: Watched) -> None:
    """Funded, remaining, reserved and paid."""
    campaign = troubles.traffic.large.campaign
    with troubles.traffic.admin() as api:
        found: dict[str, Any] = api.get(f"/api/campaigns/{campaign}")
        sheet: dict[str, Any] = api.get(f"/api/campaigns/{campaign}/balance-sheet")
    wanted = {
        "funded": float(found["funded"]),
        "remaining": float(found["available"]),
        "reserved": float(found["reserved"]),
        "paid": sum(float(sheet[part]) for part in ("wallets", "payout_pending", "paid")),
    }

    def shown() -> dict[str, float]:
        return {
            name: value
            for name in wanted
            for value in troubles.answers(
                f'max by (campaign) (prizewire_rewards_pool_{name}{{campaign="{campaign}"}})'
            ).values()
        }

    eventually_sync(lambda: shown() == pytest.approx(wanted), deadline_s=DEADLINE_S)


def test_the_main_numbers_are_what_the_api_says(troubles: Watched) -> None:
    """Active campaigns, payouts that have not ended by rail, stuck events, held claims: once all of the traffic was counted."""

    def agree() -> bool:
        with troubles.traffic.admin() as api:
            said = numbers(api)
        return said == shown()

    def numbers(api: Api) -> dict[str, Any]:
        by_rail = Counter(
            one["rail"] for state in OPEN_STATES for one in api.items("/api/admin/payouts", state=state)
        )
        return {
            "active": sum(one["state"] == "active" for one in api.items("/api/campaigns")),
            "by_rail": {rail: count for rail, count in by_rail.items() if rail},
            "stuck": troubles.traffic.stuck_events("settlement"),
            "held": sum(1 for _ in api.items("/api/claims", state="held")),
        }

    def shown() -> dict[str, Any]:
        found = {figure.metric: values for figure, values in from_prometheus(troubles.url).values if values}
        by_rail: Counter[str] = Counter()
        for (rail, _), count in found["prizewire_payouts"].items():
            by_rail[rail] += int(count)
        return {
            "active": found["prizewire_rewards_campaigns"]["active",],
            "by_rail": {rail: count for rail, count in by_rail.items() if count},
            "stuck": sum(
                count
                for (service, _), count in found["prizewire_stuck_events"].items()
                if service == "settlement"
            ),
            "held": sum(found["prizewire_rewards_claims_held"].values()),
        }

    eventually_sync(agree, deadline_s=DEADLINE_S)


def test_the_command_shows_the_same_figures(troubles: Watched) -> None:
    """`prizewire status --watch --once` reads the services where the stack has no Prometheus."""
    found = answered(troubles.traffic.stack, "status", "--once")
    stuck = [one for one in found["figures"] if one["metric"] == "prizewire_stuck_events"]
    assert sum(one["value"] for one in stuck if one["labels"]["service"] == "settlement") >= 1
