"""How a metric is defined: once, with its meaning, its unit and the values of its labels.

``python -m prizewire_<service> metrics`` prints every definition of a service, and docs/metrics.md is generated from it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from math import prod
from typing import Any, Final, Self

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from prizewire_chassis.logging import get_logger

OTHER: Final = "other"
"""The value that stands for everything outside a label's set, or beyond its bound."""
_log = get_logger(__name__)
_NAME: Final = re.compile(r"prizewire_[a-z][a-z0-9_]*")
START_MAX: Final = 100
"""The largest number of series with which a counter starts."""
_SUFFIXES: Final = {
    "seconds": "_seconds",
    "bytes": "_bytes",
    "ratio": "_ratio",
    "Unix time": "_timestamp_seconds",
}
"""Units that the name must end with, before ``_total`` (Prometheus, "Metric and label naming")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The values that a label may have.

    ``closed`` is the set of all values; None where configuration decides them. ``most`` is the largest number of different
    values that one process shows, beside ``other``. ``meaning`` says what a value names.
    """

    meaning: str
    closed: frozenset[str] | None
    most: int

    def admits(self, value: str, *, shown: Collection[str]) -> bool:
        """Whether a series may have this value, where those ``shown`` are there already."""
        if self.closed is not None:
            return value in self.closed
        return value in shown or value == OTHER or len(shown) < self.most


class _Limited(MetricWrapperBase):
    """A metric whose labels keep to their definition: any further value is shown as ``other``.

    Without it a caller who can choose a value, such as the method of a request, could fill the memory of the service and of
    Prometheus with series.
    """

    _limits: Sequence[Values] = ()
    _shown: Sequence[set[str]] = ()
    _reported = False

    def limit(self, labels: Sequence[Values]) -> Self:
        """Set the values of the labels, in the order of the labels."""
        self._limits = labels
        self.forget()
        _limited.append(self)
        return self

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the labels."""
        return tuple(self._labelnames)

    @property
    def limits(self) -> tuple[Values, ...]:
        """The values of the labels, in the order of their names."""
        return tuple(self._limits)

    def forget(self) -> None:
        """Count the values of bounded labels from zero again. The series stay."""
        self._shown = [set() for _ in self._limits]

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Self:
        """The series of these values."""
        if labelkwargs or len(labelvalues) != len(self._limits):
            given = {name: labelkwargs.pop(name) for name in self._labelnames if name in labelkwargs}
            if labelvalues or labelkwargs or len(given) != len(self._limits):
                msg = f"the labels of {self._name} are {list(self._labelnames)}"
                raise ValueError(msg)
            labelvalues = tuple(given.values())
        return super().labels(*map(self._admitted, range(len(labelvalues)), map(str, labelvalues)))

    def _admitted(self, place: int, value: str) -> str:
        shown = self._shown[place]
        if not self._limits[place].admits(value, shown=shown):
            if not self._reported:
                self._reported = True
                _log.error(
                    "a label has a value outside its definition; it is shown as other",
                    metric=self._name,
                    label=self._labelnames[place],
                )
            return OTHER
        if value != OTHER:
            shown.add(value)
        return value

    def remove(self, *labelvalues: Any) -> None:
        """Remove one series. A value without a series makes room for another one."""
        super().remove(*labelvalues)
        self._look()

    def remove_by_labels(self, labels: dict[str, str]) -> None:
        """Remove every series with these values."""
        super().remove_by_labels(labels)
        self._look()

    def clear(self) -> None:
        """Remove every series."""
        super().clear()
        self._look()

    def _look(self) -> None:
        for place, shown in enumerate(self._shown):
            shown.intersection_update(values[place] for values in self._metrics)


class _Counter(_Limited, Counter):
    """A counter with limited labels."""


class _Gauge(_Limited, Gauge):
    """A gauge with limited labels."""


class _Histogram(_Limited, Histogram):
    """A histogram with limited labels."""


_limited: list[_Limited] = []


def forget_shown() -> None:
    """Count the values of bounded labels from zero again, for tests: one process of tests runs many services."""
    for metric in _limited:
        metric.forget()


def closed(values: Iterable[str] | type[StrEnum], *, meaning: str = "") -> Values:
    """Values of a closed set, such as the members of an enumeration."""
    found = frozenset(str(value) for value in values)
    return Values(meaning=meaning, closed=found, most=len(found))


def bounded(meaning: str, *, most: int) -> Values:
    """Values that configuration or data decide, at most ``most`` of them. ``meaning`` says what they name."""
    return Values(meaning=meaning, closed=None, most=most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One metric: its name, kind (counter, gauge or histogram), meaning, unit ("" where it counts nothing with a unit) and labels."""

    name: str
    kind: str
    meaning: str
    unit: str
    labels: Mapping[str, Values]


_defined: dict[str, Definition] = {}


def defined() -> tuple[Definition, ...]:
    """Every metric that the loaded modules define, by name."""
    return tuple(_defined[name] for name in sorted(_defined))


def _define(
    name: str, kind: str, meaning: str, unit: str, labels: Mapping[str, Values] | None
) -> tuple[list[str], list[Values]]:
    """Remember a definition, and return the names of its labels and their values.

    Raises:
        ValueError: the name, the meaning or the unit breaks a convention, or the name is taken.
    """
    bare = name.removesuffix("_total")
    suffix = _SUFFIXES.get(unit)
    if not _NAME.fullmatch(name):
        msg = f"the metric {name} must begin with prizewire_ and have small letters, digits and _ only"
    elif name.endswith("_total") != (kind == "counter"):
        msg = f"the metric {name} must end with _total if it is a counter, and only then"
    elif suffix is not None and not bare.endswith(suffix):
        msg = f"the metric {name} has the unit {unit}, so its name must end with {suffix}, before _total"
    elif not meaning.endswith("."):
        msg = f"the meaning of the metric {name} must be a sentence"
    elif name in _defined:
        msg = f"the metric {name} is defined twice"
    else:
        _defined[name] = Definition(
            name=name, kind=kind, meaning=meaning, unit=unit, labels=dict(labels or {})
        )
        return list(labels or {}), list((labels or {}).values())
    raise ValueError(msg)


def counter(name: str, meaning: str, *, unit: str, labels: Mapping[str, Values] | None = None) -> Counter:
    """A number that only rises. ``unit`` names what is counted, such as ``events``; the name ends with ``_total``.

    Raises:
        ValueError: a convention is broken, or the name is taken.
    """
    names, limits = _define(name, "counter", meaning, unit, labels)
    made = _Counter(name, meaning, names).limit(limits)
    if (
        names
        and all(one.closed is not None for one in limits)
        and prod(one.most for one in limits) <= START_MAX
    ):
        start_at_zero(made)
    return made


def start_at_zero(metric: Counter, **known: str) -> None:
    """Show a counter at 0 for every combination of the values of its closed labels, beside the ``known`` values of the others.

    Prometheus sees a rise only between two values: a series that appears with its first event would hide that event from every
    increase and every alert. A counter whose labels are all closed starts so by itself, if it has at most ``START_MAX`` series.

    Raises:
        ValueError: a label is neither closed nor known.
        TypeError: the metric was not made by `counter`.
    """
    if not isinstance(metric, _Counter):
        msg = f"{metric} is no counter of `prizewire_chassis.metrics.definitions`"
        raise TypeError(msg)
    choices: list[Collection[str]] = []
    for name, limit in zip(metric.label_names, metric.limits, strict=True):
        if name not in known and limit.closed is None:
            msg = f"the label {name} of {metric} has no closed set of values: give its value"
            raise ValueError(msg)
        choices.append((known[name],) if name in known else sorted(limit.closed or ()))
    for values in product(*choices):
        metric.labels(*values)


def show(metric: Gauge, figures: Mapping[tuple[str, ...], float], *, within: tuple[str, ...] = ()) -> None:
    """Set a gauge to these figures, by the values of its labels in their order. Series that are not among them vanish; with
    ``within`` only those whose first labels have these values. They vanish first: no scrape sees old and new series together.
    """
    for family in metric.collect():
        for sample in family.samples:
            values = tuple(sample.labels.values())
            if values not in figures and values[: len(within)] == within:
                metric.remove(*values)
    for values, figure in figures.items():
        metric.labels(*values).set(figure)


def gauge(name: str, meaning: str, *, unit: str, labels: Mapping[str, Values] | None = None) -> Gauge:
    """A value that rises and falls. ``unit`` names what it measures, such as ``events``, ``seconds`` or ``1 or 0``.

    Raises:
        ValueError: a convention is broken, or the name is taken.
    """
    names, limits = _define(name, "gauge", meaning, unit, labels)
    return _Gauge(name, meaning, names).limit(limits)


def histogram(
    name: str,
    meaning: str,
    *,
    unit: str,
    labels: Mapping[str, Values] | None = None,
    buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS,
) -> Histogram:
    """The distribution of a value, in ``buckets`` of the unit.

    Raises:
        ValueError: a convention is broken, or the name is taken.
    """
    names, limits = _define(name, "histogram", meaning, unit, labels)
    return _Histogram(name, meaning, names, buckets=buckets).limit(limits)
