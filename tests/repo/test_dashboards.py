"""Each metric is looked at: a panel of a dashboard shows it or an alert watches it, and both name only metrics that exist."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from prizewire_devstack.monitoring.dashboards import DASHBOARDS
from prizewire_devstack.monitoring.panels import Dashboard
from tests.repo.house import Repository
from tests.repo.test_alerts import OTHERS

NOT_SHOWN: Final[dict[str, str]] = {}
"""Metrics that no panel shows and no alert watches, with the reason."""
LINK: Final = re.compile(r"docs/([\w/-]+)\.md")


@cache
def defined(service: str) -> frozenset[str]:
    """The metrics that a service defines."""
    done = subprocess.run(
        (sys.executable, "-m", f"prizewire_{service}", "metrics"),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return frozenset(one["name"] for one in json.loads(done.stdout))


def all_defined(repository: Repository) -> frozenset[str]:
    return frozenset().union(*(defined(service.name) for service in repository.services))


def shown() -> dict[str, set[str]]:
    """The panels that show a metric, by the metric."""
    found: dict[str, set[str]] = {}
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels():
            for name in frozenset().union(*(query.metrics for query in panel.queries)):
                found.setdefault(name, set()).add(f"{dashboard.title}: {panel.title}")
    return found


def alerted(root: Path) -> str:
    """The text of all alert rules."""
    return "\n".join(file.read_text() for file in sorted((root / "deploy/monitoring/rules").glob("*.yaml")))


def test_every_metric_is_looked_at(repository: Repository) -> None:
    """A new metric comes with its panel or its alert, else with a reason in ``NOT_SHOWN``."""
    rules = alerted(repository.root)
    missing = {
        name
        for name in all_defined(repository) - shown().keys() - NOT_SHOWN.keys()
        if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", rules)
    }
    assert sorted(missing) == [], "add a panel in prizewire_devstack.monitoring.dashboards, or an alert"


def test_reasons_are_for_metrics_that_exist_and_are_not_shown(repository: Repository) -> None:
    """The table has no line that is out of date."""
    assert NOT_SHOWN.keys() <= all_defined(repository) - shown().keys()
    assert all(reason.endswith(".") for reason in NOT_SHOWN.values())


def test_panels_name_only_metrics_that_exist(repository: Repository) -> None:
    """A renamed metric does not leave an empty panel."""
    known = all_defined(repository) | OTHERS
    assert {name: panels for name, panels in shown().items() if name not in known} == {}


def test_variables_name_metrics_that_exist(repository: Repository) -> None:
    """The choices at the top of a dashboard are not empty."""
    named = {variable.metric for dashboard in DASHBOARDS for variable in dashboard.variables}
    assert named <= all_defined(repository)


def test_panels_name_alerts_that_exist(repository: Repository) -> None:
    """The alert of a panel is a rule, so that the panel shows its threshold."""
    from prizewire_devstack.monitoring import rules

    known = {alert.name for alert in rules.load()}
    named = {panel.alert for dashboard in DASHBOARDS for panel in dashboard.panels() if panel.alert}
    assert named <= known


def test_an_alert_names_the_dashboard_of_its_panel(repository: Repository) -> None:
    """Who gets an alert opens that dashboard, and finds the panel with its threshold there."""
    from prizewire_devstack.monitoring import rules

    shown: dict[str, set[str]] = {}
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels():
            if panel.alert:
                shown.setdefault(panel.alert, set()).add(f"prizewire-{dashboard.name}")
    wrong = {one.name: one.dashboard for one in rules.load() if one.dashboard not in shown[one.name]}
    assert wrong == {}


@pytest.mark.parametrize("dashboard", [pytest.param(one, id=one.name) for one in DASHBOARDS])
def test_dashboards_name_documents_that_exist(repository: Repository, dashboard: Dashboard) -> None:
    """A person who follows a panel's advice finds the document."""
    texts = " ".join(panel.description for panel in dashboard.panels())
    named = {f"docs/{name}.md" for name in LINK.findall(texts)}
    named |= {f"docs/runbooks/{name}.md" for name in dashboard.procedures}
    assert sorted(name for name in named if not (repository.root / name).is_file()) == []
