"""The alert rules of deploy/monitoring/rules: what each alert says, and the same rules with shorter times for drills."""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from prizewire_devstack.home import repository_root

DIRECTORY: Final = Path("deploy/monitoring/rules")
"""The rules, in the repository."""
RUNBOOKS: Final = "docs/runbooks/"
SECONDS: Final = "seconds"
"""The value of the annotation `threshold_unit` of a threshold that is a time: `scaled` divides it, too."""
RANGE_S_MIN: Final = 10.0
"""The shortest range of a scaled rule in seconds: a range must hold several scrapes."""
_PART: Final = r"(?:\d+(?:ms|[smhdwy]))+"
_RANGE: Final = re.compile(rf"\[({_PART})(?::({_PART})?)?\]")
_OFFSET: Final = re.compile(rf"\boffset\s+({_PART})")
_ONE: Final = re.compile(r"(\d+)(ms|[smhdwy])")
_UNIT_MS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert rule. Several rules may have one name, each with another severity.

    ``for_s`` is how long the expression must hold before the alert fires, in seconds. ``threshold`` is a number in the unit
    of the panel that shows it; None where no number makes sense. ``threshold_unit`` is `seconds` where it is a time.
    ``runbook`` is a path in the repository, and ``file`` the name of the file of the rule.
    """

    name: str
    expr: str
    for_s: float
    severity: str
    labels: Mapping[str, str]
    summary: str
    description: str
    dashboard: str
    threshold: float | None
    threshold_unit: str
    runbook: str
    file: str


def load(*, root: Path | None = None) -> tuple[Alert, ...]:
    """Every alert rule, by file and in the order of the file.

    Raises:
        KeyError: a rule lacks a label or an annotation that each alert has.
    """
    return tuple(
        _alert(rule, file)
        for file, document in documents(root=root).items()
        for group in document["groups"]
        for rule in group["rules"]
        if "alert" in rule
    )


def documents(*, root: Path | None = None) -> dict[str, dict[str, Any]]:
    """The files of rules as they are, by their names."""
    directory = (root or repository_root()) / DIRECTORY
    return {
        file.name: yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
        for file in sorted(directory.glob("*.yaml"))
    }


def scaled(factor: float, *, root: Path | None = None, range_s_min: float = RANGE_S_MIN) -> dict[str, str]:
    """The text of each file of rules, by name, with every duration divided by ``factor``.

    Divided are `for`, `keep_firing_for`, the intervals of groups, ranges and offsets in expressions, and thresholds that are
    times. No range gets shorter than ``range_s_min`` seconds. With the factor 1 the texts are those of the files.
    """
    if factor == 1:
        directory = (root or repository_root()) / DIRECTORY
        return {file.name: file.read_text() for file in sorted(directory.glob("*.yaml"))}
    return {
        name: yaml.safe_dump(_scaled_document(document, factor, range_s_min), sort_keys=False, width=1000)
        for name, document in documents(root=root).items()
    }


def seconds_of(duration: str) -> float:
    """The seconds of a duration in Prometheus's notation, such as `1h30m`.

    Raises:
        ValueError: it is no such duration.
    """
    if re.fullmatch(_PART, duration) is None:
        msg = f"{duration!r} is no duration of Prometheus: write one such as 5m or 1h30m"
        raise ValueError(msg)
    return sum(int(number) * _UNIT_MS[unit] for number, unit in _ONE.findall(duration)) / 1000


def _alert(rule: Mapping[str, Any], file: str) -> Alert:
    annotations = rule["annotations"]
    threshold = annotations.get("threshold")
    link = annotations["runbook_url"]
    return Alert(
        name=rule["alert"],
        expr=rule["expr"].strip(),
        for_s=seconds_of(rule.get("for", "0s")),
        severity=rule["labels"]["severity"],
        labels=dict(rule["labels"]),
        summary=annotations["summary"],
        description=annotations["description"],
        dashboard=annotations["dashboard"],
        threshold=None if threshold is None else float(threshold),
        threshold_unit=annotations.get("threshold_unit", ""),
        runbook=link[link.index(RUNBOOKS) :],
        file=file,
    )


def _scaled_document(document: Mapping[str, Any], factor: float, range_s_min: float) -> dict[str, Any]:
    found = copy.deepcopy(dict(document))
    for group in found["groups"]:
        if "interval" in group:
            group["interval"] = _divided(group["interval"], factor)
        for rule in group["rules"]:
            for name in ("for", "keep_firing_for"):
                if name in rule:
                    rule[name] = _divided(rule[name], factor)
            rule["expr"] = _scaled_expression(rule, factor, range_s_min)
    return found


def _scaled_expression(rule: Mapping[str, Any], factor: float, range_s_min: float) -> str:
    def ranged(match: "re.Match[str]") -> str:
        whole, step = match.groups()
        shown = _divided(whole, factor, s_min=range_s_min)
        if ":" not in match.group():
            return f"[{shown}]"
        return f"[{shown}:{_divided(step, factor, s_min=1.0) if step else ''}]"

    def moved(match: "re.Match[str]") -> str:
        return f"offset {_divided(match.group(1), factor)}"

    expr = _OFFSET.sub(moved, _RANGE.sub(ranged, rule["expr"]))
    annotations = rule.get("annotations", {})
    if annotations.get("threshold_unit") == SECONDS:
        number = str(annotations["threshold"])
        shorter = f"{float(number) / factor:.6g}"
        # `partial`, since a replacement text would read a backslash or a digit as a group.
        expr = re.sub(rf"(?<![\w.\[]){re.escape(number)}(?![\w.])", partial(_always, shorter), expr)
    return expr


def _always(text: str, _match: "re.Match[str]") -> str:
    return text


def _divided(duration: str, factor: float, *, s_min: float = 0.0) -> str:
    seconds = max(seconds_of(duration) / factor, min(s_min, seconds_of(duration)))
    return f"{max(round(seconds * 1000), 1)}ms"
