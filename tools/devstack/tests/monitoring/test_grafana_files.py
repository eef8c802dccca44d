"""The committed dashboards of Grafana are those of the panels and of the alert rules."""

from functools import cache
from pathlib import Path

import pytest

from prizewire_devstack.cli.dashboards import DIRECTORY
from prizewire_devstack.home import repository_root
from prizewire_devstack.monitoring import grafana, rules, watches
from prizewire_devstack.monitoring.dashboards import DASHBOARDS
from prizewire_devstack.monitoring.panels import Panel, Watch

WATCHED = [
    pytest.param(panel, id=f"{dashboard.name}-{panel.title.lower().replace(' ', '-')}")
    for dashboard in DASHBOARDS
    for panel in dashboard.panels()
    if panel.alert
]


@cache
def read_rules() -> tuple[tuple[rules.Alert, ...], dict[str, Watch], dict[str, str]]:
    """The alerts, what panels show of them, and the recording rules by name."""
    recorded = {
        rule["record"]: rule["expr"]
        for document in rules.documents().values()
        for group in document["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    return rules.load(), watches.load(), recorded


def test_the_files_are_up_to_date() -> None:
    """`make schemas` writes them."""
    root = repository_root()
    wanted = grafana.files(watches.load(root=root), runbooks=watches.runbooks(root=root))
    found = {path.name: path.read_text() for path in (root / DIRECTORY).glob("*.json")}
    assert sorted(found) == sorted(wanted)
    assert [name for name, text in wanted.items() if found[name] != text] == [], "run `make schemas`"


def test_a_changed_file_is_written_and_others_stay(tmp_path: Path) -> None:
    """The command reports what it changed, and any user may read it."""
    assert len(grafana.write(tmp_path, {}, runbooks="docs/runbooks")) == len(DASHBOARDS)
    (tmp_path / "health.json").write_text("{}")
    assert grafana.write(tmp_path, {}, runbooks="docs/runbooks") == ["health.json"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


@pytest.mark.parametrize("panel", WATCHED)
def test_a_threshold_is_that_of_the_alert(panel: Panel) -> None:
    """The panel shows a number of the rule, and reads a metric that the rule reads, in its own words or by a recording rule."""
    assert panel.alert is not None
    alerts, known, recorded = read_rules()
    own = [alert for alert in alerts if alert.name == panel.alert]
    assert own
    threshold = known[panel.alert].threshold_of(panel)
    assert threshold is None or threshold in {alert.threshold for alert in own}
    expressions = " ".join(alert.expr for alert in own)
    whole = expressions + " ".join(expr for name, expr in recorded.items() if name in expressions)
    metrics = {name for query in panel.queries for name in query.metrics}
    assert any(name in whole for name in metrics), f"{panel.title} does not show what {panel.alert} watches"


NOT_DRAWN: dict[str, str] = {
    "PrizewireKafkaLost": "It watches the age of a poll and the lag together.",
    "PrizewireTargetMissing": "A process that Prometheus does not know has no series.",
    "PrizewireBackupOld": "The series are of the operator of the databases.",
}
"""Alerts that no panel shows, with the reason."""


def test_every_alert_is_seen_on_a_panel_with_its_threshold() -> None:
    """The number at which it fires is drawn where a person looks, unless a reason says why not."""
    alerts, known, _ = read_rules()
    panels = [panel for dashboard in DASHBOARDS for panel in dashboard.panels()]
    missing = set()
    for alert in alerts:
        own = [panel for panel in panels if panel.alert == alert.name]
        shown = any(known[alert.name].threshold_of(panel) is not None for panel in own)
        if not own or (alert.threshold is not None and not shown):
            missing.add(alert.name)
    assert sorted(missing - NOT_DRAWN.keys()) == []
    assert NOT_DRAWN.keys() <= {alert.name for alert in alerts}


def test_a_dashboard_of_an_alert_exists() -> None:
    """An alert names the dashboard to open by its uid."""
    assert {alert.dashboard for alert in rules.load()} <= {dashboard.uid for dashboard in DASHBOARDS}
