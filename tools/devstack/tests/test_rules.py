"""Alert rules in code: what is loaded, and what the same rules with shorter times are."""

from pathlib import Path

import pytest
import yaml

from prizewire_devstack.monitoring import rules

RULES = """
groups:
  - name: any
    interval: 30s
    rules:
      - record: any:rate5m
        expr: rate(any_total[5m])
      - alert: AnyOld
        expr: max(any_age_seconds) > 300 and increase(any_total[1h] offset 1d) > 3 and any_300 > 0
        for: 1m30s
        keep_firing_for: 5m
        labels: {severity: page}
        annotations:
          summary: "Old"
          description: Old.
          runbook_url: https://example.org/docs/runbooks/AnyOld.md
          dashboard: prizewire-health
          threshold: "300"
          threshold_unit: seconds
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / rules.DIRECTORY
    directory.mkdir(parents=True)
    (directory / "any.yaml").write_text(RULES)
    return tmp_path


def test_an_alert_is_loaded_with_its_numbers(root: Path) -> None:
    """Durations are seconds, the threshold is a number, and the runbook is a path in the repository."""
    (alert,) = rules.load(root=root)
    assert (alert.name, alert.for_s, alert.severity) == ("AnyOld", 90.0, "page")
    assert (alert.threshold, alert.threshold_unit) == (300.0, "seconds")
    assert alert.runbook == "docs/runbooks/AnyOld.md"
    assert alert.file == "any.yaml"


def test_every_duration_is_divided(root: Path) -> None:
    """Ranges, offsets, waiting times and thresholds that are times shrink; counts and names stay."""
    (text,) = rules.scaled(60, root=root, range_s_min=1).values()
    group = yaml.safe_load(text)["groups"][0]
    record, alert = group["rules"]
    assert group["interval"] == "500ms"
    assert record["expr"] == "rate(any_total[5000ms])"
    assert alert["expr"] == (
        "max(any_age_seconds) > 5 and increase(any_total[60000ms] offset 1440000ms) > 3 and any_300 > 0"
    )
    assert (alert["for"], alert["keep_firing_for"]) == ("1500ms", "5000ms")


def test_a_range_holds_several_scrapes(root: Path) -> None:
    """A range is not divided below the shortest range."""
    (text,) = rules.scaled(60, root=root, range_s_min=8).values()
    assert "rate(any_total[8000ms])" in text


def test_the_factor_one_changes_nothing(root: Path) -> None:
    """The rules of a stack without haste are the files themselves."""
    assert rules.scaled(1, root=root) == {"any.yaml": RULES}


@pytest.mark.parametrize("text", ["", "5", "5 m", "m5"], ids=["empty", "number", "space", "reversed"])
def test_a_wrong_duration_is_refused(text: str) -> None:
    """What is no duration gets an error that says how to write one."""
    with pytest.raises(ValueError, match="write one such as 5m"):
        rules.seconds_of(text)
