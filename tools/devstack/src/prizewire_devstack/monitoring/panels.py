"""What a dashboard is: rows of panels, each with queries, a unit and a description. Grafana, pictures and the terminal draw it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WIDTH: Final = 24
"""The columns of a dashboard, as Grafana counts them."""
EVERYTHING: Final = ".*"
"""The value of a variable that selects every series."""
_METRIC: Final = re.compile(r"\b(?:prizewire|alertmanager|prometheus|barman|cnpg)_[a-z0-9_]+|\bup\b")
_VARIABLE: Final = re.compile(r"\$([a-z]+)")
_PARTS: Final = ("_bucket", "_sum", "_count")
"""The series of a histogram."""


class Unit(StrEnum):
    """The unit of a panel. The values are Grafana's names."""

    COUNT = "short"
    SECONDS = "s"
    SHARE = "percentunit"
    """1 is all of it."""
    MONEY = "locale"
    """Units of the asset that the legend names: 12.5 is 12.50 USD."""
    PER_SECOND = "cps"
    YES_NO = "bool_yes_no"
    """1 is yes, 0 is no."""
    STATE = "none"
    """A number that the panel's ``names`` explain."""


class Kind(StrEnum):
    """How a panel is drawn. The values are Grafana's names of panel types."""

    STAT = "stat"
    """One large number for each series."""
    TIMESERIES = "timeseries"
    """Lines over time."""
    TABLE = "table"
    """A row for each set of labels, a column for each query."""
    GAUGE = "gauge"
    """A share of a whole."""
    BAR = "bargauge"
    """A bar for each series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question in PromQL. ``legend`` is a text with labels in double braces, as ``{{rail}}``; in a table it heads the column."""

    expr: str
    legend: str

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics that the expression reads; the series of a histogram count as the histogram."""
        found = set()
        for name in _METRIC.findall(self.expr):
            part = next((one for one in _PARTS if name.endswith(one)), "")
            found.add(name.removesuffix(part))
        return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. ``shows`` says what it shows, ``normal`` what is normal, ``act`` what to do when it is not.

    ``alert`` names the alert rule that watches the panel; ``least`` says that its threshold is the least good value, and not the largest
    one. ``names`` has the words for values of a panel of states.
    ``columns`` is its width, ``rows`` its height, in Grafana's grid.
    """

    title: str
    shows: str
    normal: str
    act: str
    unit: Unit
    kind: Kind
    queries: tuple[Query, ...]
    alert: str | None = None
    least: bool = False
    names: Mapping[int, str] | None = None
    columns: int = 12
    rows: int = 8

    @property
    def description(self) -> str:
        """All three sentences."""
        return f"{self.shows} {self.normal} {self.act}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The number of an alert rule. ``is_time`` says that it is in seconds."""

    value: float
    is_time: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a panel shows of the alert that watches it: the thresholds of its rules, and the runbook: an address, or a path in the
    repository.
    """

    thresholds: tuple[Threshold, ...] = ()
    runbook: str

    def threshold_of(self, panel: Panel) -> float | None:
        """The first threshold in the unit of a panel; None where there is none."""
        is_time = panel.unit is Unit.SECONDS
        return next((one.value for one in self.thresholds if one.is_time is is_time), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice at the top of a dashboard: the values that the label ``of`` of ``metric`` has; without ``of`` the label ``name``."""

    name: str
    label: str
    metric: str
    of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One dashboard. ``procedures`` are the runbooks of work that no alert begins, by their file names without ``.md``."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    procedures: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of its files."""
        return self.uid.removeprefix("prizewire-")

    def panels(self) -> Iterator[Panel]:
        """Every panel, in order."""
        for row in self.rows:
            yield from row.panels


def chosen(expr: str, values: Mapping[str, str] | None = None) -> str:
    """The expression with its variables replaced: by ``values``, else by what selects every series."""
    known = values or {}
    return _VARIABLE.sub(lambda found: known.get(found.group(1), EVERYTHING), expr)
