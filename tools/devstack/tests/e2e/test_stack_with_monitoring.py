"""`prizewire up --monitoring`: Prometheus and Alertmanager as parts of the stack, from its start to its end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from prizewire_devstack.components.processes import answers_ok
from prizewire_devstack.home import Home, is_alive
from prizewire_devstack.monitoring.query import Prometheus
from prizewire_devstack.stack import Stack, StackOptions
from prizewire_devstack.stack.monitoring import PARTS, READY_PATH, MonitoringOptions
from prizewire_devstack.waiting import eventually_sync

DEADLINE_S: Final = 300.0
SERVICES: Final = ("webhooks",)
"""One, so that the stack starts soon."""

pytestmark = [pytest.mark.local_processes, pytest.mark.long, pytest.mark.processes]


def up(asked: Prometheus) -> Mapping[str, float]:
    """Whether Prometheus could read the metrics of each process."""
    return {one.labels["part"]: one.value for one in asked.now('up{job="prizewire"}')}


def alertmanagers(url: str) -> list[str]:
    """The Alertmanagers that Prometheus sends alerts to."""
    found: dict[str, Any] = httpx.get(f"{url}/api/v1/alertmanagers", trust_env=False).json()
    return [one["url"] for one in found["data"]["activeAlertmanagers"]]


def test_a_stack_with_monitoring_is_watched_from_start_to_end(tmp_path: Path) -> None:
    """Each process is read, also one that is added later; alerts have a receiver; nothing is left after the end."""
    options = StackOptions(
        services=SERVICES,
        monitoring=True,
        monitoring_options=MonitoringOptions(scrape_interval_s=1.0, evaluation_interval_s=1.0),
    )
    home = Home(root=tmp_path / "home")
    with Stack(home=home, options=options) as stack, Prometheus(stack.monitoring.url) as asked:
        assert home.running().urls.keys() >= {*SERVICES, *PARTS}
        eventually_sync(lambda: up(asked) == dict.fromkeys(SERVICES, 1), deadline_s=DEADLINE_S)
        added = stack.add_replica("webhooks")
        eventually_sync(lambda: up(asked) == dict.fromkeys((*SERVICES, added), 1), deadline_s=DEADLINE_S)
        stack.remove_replica(added)
        eventually_sync(lambda: added not in up(asked), deadline_s=DEADLINE_S)
        for part in PARTS:  # what `prizewire restart` of a runbook does
            stack.stop(part)
            stack.restart(part)
        assert answers_ok(f"{stack.monitoring.alertmanager_url}{READY_PATH}")
        eventually_sync(
            lambda: (
                alertmanagers(stack.monitoring.url) == [f"{stack.monitoring.alertmanager_url}/api/v2/alerts"]
            ),
            deadline_s=DEADLINE_S,
        )
        groups = httpx.get(f"{stack.monitoring.url}/api/v1/rules", trust_env=False).json()["data"]["groups"]
        assert any(rule.get("name") == "PrizewireServiceDown" for group in groups for rule in group["rules"])
        run = home.running()
    assert run.processes.keys() >= {*SERVICES, *PARTS}
    assert [part for part, record in run.processes.items() if is_alive(record)] == []
    assert not any(answers_ok(f"{run.urls[part]}{READY_PATH}") for part in PARTS)
