"""Alerts, metrics, tests and runbooks belong together: an alert that lacks one of them fails here."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import yaml

from prizewire_devstack.monitoring import rules
from prizewire_devstack.routes import SERVICES

ROOT: Final = Path(__file__).resolve().parents[2]
ALERTS: Final = rules.load(root=ROOT)
KINDS: Final = sorted({(alert.name, alert.severity) for alert in ALERTS})
SEVERITIES: Final = frozenset({"page", "ticket", "info"})
OTHERS: Final = frozenset(
    {
        "up",
        "alertmanager_cluster_failed_peers",
        "alertmanager_config_last_reload_successful",
        "alertmanager_notifications_failed_total",
        "prometheus_config_last_reload_successful",
        "prometheus_notifications_dropped_total",
        "prometheus_rule_evaluation_failures_total",
        "process_start_time_seconds",
        "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp",
        "certmanager_certificate_expiration_timestamp_seconds",
        "cnpg_collector_up",
        "cnpg_pg_stat_archiver_seconds_since_last_archival",
    }
)
"""Metrics of Prometheus, of Alertmanager, of Prometheus's client, of CloudNativePG with its plugin for backups, and of cert-manager."""
DASHBOARDS: Final = frozenset(
    {
        "prizewire-health",
        "prizewire-pipeline",
        "prizewire-rails",
        "prizewire-rewards",
        "prizewire-stellar-signer",
    }
)
METRIC: Final = re.compile(
    r"(?:prizewire|process|alertmanager|prometheus|cnpg|barman|certmanager)_\w+(?![\w:(])|\bup\b(?=[{\[ )])"
)
IN_TEXT: Final = re.compile(r"\$labels\.(\w+)")
TESTED: Final = re.compile(r'ALERTS\{alertname="(\w+)",severity="(\w+)",alertstate="firing"\}')
PERSONAL: Final = frozenset({"player", "player_id", "email", "name_of_player"})


@cache
def _defined() -> frozenset[str]:
    """The names of all metrics, as each service prints them."""
    running = [
        subprocess.Popen(
            (sys.executable, "-m", f"prizewire_{service}", "metrics"), stdout=subprocess.PIPE, text=True
        )
        for service in SERVICES
    ]
    return frozenset(one["name"] for process in running for one in json.loads(process.communicate()[0]))


@cache
def _recorded() -> dict[str, str]:
    """The expressions of all recording rules, by name."""
    return {
        rule["record"]: rule["expr"]
        for document in rules.documents(root=ROOT).values()
        for group in document["groups"]
        for rule in group["rules"]
        if "record" in rule
    }


def _read(expr: str) -> str:
    """An expression with those of the recording rules that it names."""
    return " ".join((expr, *(whole for name, whole in _recorded().items() if name in expr)))


@cache
def _tested() -> frozenset[tuple[str, str, bool]]:
    """Name and severity of each tested alert, and whether the test expects that it fires."""
    files = sorted((ROOT / rules.DIRECTORY / "tests").glob("*.yaml"))
    return frozenset(
        (*found, bool(check["exp_samples"]))
        for file in files
        for test in yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["tests"]
        for check in test["promql_expr_test"]
        for found in TESTED.findall(check["expr"])
    )


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: f"{one.name}-{one.severity}-{one.for_s:g}")
def test_an_alert_says_what_a_person_needs(alert: rules.Alert) -> None:
    """Severity, service or part, summary, description, a dashboard, and a threshold that stands in the expression."""
    assert alert.severity in SEVERITIES
    expr = _read(alert.expr)
    grouped = {name.strip() for found in re.findall(r"by \(([^)]*)\)", expr) for name in found.split(",")}
    selected = set(re.findall(r"(\w+)=~?\"", expr)) | ({"instance"} if "up{" in expr else set())
    known = grouped | selected | set(alert.labels) | set(re.findall(r"\"(kind)\"", alert.expr))
    assert known & {"service", "part", "namespace"}
    used = set(IN_TEXT.findall(alert.summary + alert.description))
    assert used <= known, f"labels that the alert does not have: {sorted(used - known)}"
    assert not known & PERSONAL
    assert alert.description.endswith(".")
    assert alert.dashboard in DASHBOARDS
    if alert.threshold is not None:
        number = f"{alert.threshold:g}" if alert.threshold < 1 else f"{alert.threshold:.0f}"
        assert re.search(rf"(?:[<>]=? |\* ){re.escape(number)}(?![\d.])", alert.expr), (
            "the threshold stands in expr"
        )


def test_alerts_name_defined_metrics_only() -> None:
    """A metric that was renamed or removed would silence its alert for good."""
    named = {
        name
        for expr in (*(one.expr for one in ALERTS), *_recorded().values())
        for name in METRIC.findall(expr)
    }
    assert len(named) > 30
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) if name not in _defined() else name for name in named}
    assert bare - _defined() - OTHERS == set()


@pytest.mark.parametrize(("name", "severity"), KINDS, ids=lambda value: value)
def test_an_alert_is_tested_for_firing_and_for_silence(name: str, severity: str) -> None:
    """Each alert of each severity has a unit test in which it fires, and one in which it does not."""
    assert {fires for *of, fires in _tested() if of == [name, severity]} == {True, False}


def test_each_test_is_of_an_alert() -> None:
    """The test of an alert that was renamed would pass for ever where it expects silence."""
    assert {(name, severity) for name, severity, _ in _tested()} == set(KINDS)


@pytest.mark.parametrize("name", sorted({alert.name for alert in ALERTS}))
def test_an_alert_has_a_runbook(name: str) -> None:
    """The runbook is in docs/runbooks under the name of the alert."""
    assert {alert.runbook for alert in ALERTS if alert.name == name} == {f"docs/runbooks/{name}.md"}
    assert (ROOT / "docs" / "runbooks" / f"{name}.md").is_file()
