"""Prometheus's own programs accept the rules and the routes, and the rules do what their unit tests expect."""

import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from prizewire_devstack.components import alertmanager, debian
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.monitoring import rules

ROOT: Final = Path(__file__).resolve().parents[2]
RULES: Final = ROOT / rules.DIRECTORY
ROUTES: Final = ROOT / alertmanager.SOURCE
TIMEOUT_S: Final = 600


def _program(name: str) -> str:
    """A program of Prometheus; the test is skipped where it cannot be had."""
    try:
        return str(debian.program(name))
    except DevstackError as error:
        pytest.skip(str(error))


def _run(*argv: str, directory: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def _source() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(ROUTES.read_text())
    return found


def test_the_rules_are_valid() -> None:
    """Promtool finds no mistake and no rule twice, in the rules and in the same rules with shorter times."""
    found = _run(_program("promtool"), "check", "rules", *map(str, sorted(RULES.glob("*.yaml"))))
    assert found.returncode == 0, found.stdout + found.stderr
    assert "FAILED" not in found.stdout + found.stderr


def test_shorter_rules_are_valid(tmp_path: Path) -> None:
    """What drills use is accepted, too."""
    for name, text in rules.scaled(60, root=ROOT).items():
        (tmp_path / name).write_text(text)
    found = _run(_program("promtool"), "check", "rules", *map(str, tmp_path.glob("*.yaml")))
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("file", sorted((RULES / "tests").glob("*.yaml")), ids=lambda file: file.stem)
def test_each_alert_fires_and_is_silent_as_tested(file: Path) -> None:
    """Promtool runs the unit tests of the rules."""
    found = _run(_program("promtool"), "test", "rules", file.name, directory=file.parent)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_routes_are_valid(tmp_path: Path) -> None:
    """Amtool accepts the routes of deployments, and those of the local stack."""
    local = tmp_path / "local.yml"
    local.write_text(
        yaml.safe_dump(
            alertmanager.configuration(_source(), webhook_url="http://127.0.0.1:9/alerts", factor=60)
        )
    )
    for file in (ROUTES, local):
        found = _run(_program("amtool"), "check-config", str(file))
        assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("severity", sorted({alert.severity for alert in rules.load(root=ROOT)}))
def test_the_severity_decides_the_receiver(severity: str) -> None:
    """An alert goes to the receiver that is named as its severity."""
    found = _run(
        _program("amtool"),
        "config",
        "routes",
        "test",
        f"--config.file={ROUTES}",
        f"--verify.receivers={severity}",
        "alertname=PrizewireServiceDown",
        f"severity={severity}",
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_an_alert_without_a_severity_reaches_somebody() -> None:
    """An alert of another's rules is a ticket."""
    found = _run(
        _program("amtool"),
        "config",
        "routes",
        "test",
        f"--config.file={ROUTES}",
        "--verify.receivers=ticket",
        "alertname=Any",
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_inhibitions_name_alerts_that_exist() -> None:
    """An alert that was renamed would no longer be inhibited."""
    named = {
        name
        for rule in _source()["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        if matcher.startswith("alertname")
        for name in matcher.partition('"')[2].rstrip('"').split("|")
    }
    assert named <= {alert.name for alert in rules.load(root=ROOT)}


def test_receivers_have_no_secrets_in_the_file() -> None:
    """Keys and addresses of receivers come from files."""
    for receiver in _source()["receivers"]:
        for kind in ("pagerduty_configs", "slack_configs"):
            for one in receiver.get(kind, ()):
                assert not {"routing_key", "service_key", "api_url"} & set(one)


def test_local_receivers_post_to_one_address() -> None:
    """The local Alertmanager has the same routes, shorter times, and no receiver outside this machine."""
    url = "http://127.0.0.1:9/alerts"
    found = alertmanager.configuration(_source(), webhook_url=url, factor=60)
    assert [one["name"] for one in found["receivers"]] == [one["name"] for one in _source()["receivers"]]
    assert all(one["webhook_configs"] == [{"url": url, "send_resolved": True}] for one in found["receivers"])
    assert found["route"]["group_wait"] == "500ms"
    quiet = alertmanager.configuration(_source())
    assert all(set(one) == {"name"} for one in quiet["receivers"])
    assert quiet["inhibit_rules"] == _source()["inhibit_rules"]
