"""How a metric is defined: once, with its meaning, its unit and the values of its labels.

``python -m prizewire_<service> metrics`` prints every definition of a service, and docs/metrics.md is generated from it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

OTHER: Final = "other"
"""The value of a bounded label that stands for everything beyond its bound."""
_NAME: Final = re.compile(r"prizewire_[a-z][a-z0-9_]*")
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
    values that one process shows. ``meaning`` says what a value names.
    """

    meaning: str
    closed: frozenset[str] | None
    most: int


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


def _define(name: str, kind: str, meaning: str, unit: str, labels: Mapping[str, Values] | None) -> list[str]:
    """Remember a definition, and return the names of its labels.

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
        return list(labels or {})
    raise ValueError(msg)


def counter(name: str, meaning: str, *, unit: str, labels: Mapping[str, Values] | None = None) -> Counter:
    """A number that only rises. ``unit`` names what is counted, such as ``events``; the name ends with ``_total``.

    Raises:
        ValueError: a convention is broken, or the name is taken.
    """
    return Counter(name, meaning, _define(name, "counter", meaning, unit, labels))


def gauge(name: str, meaning: str, *, unit: str, labels: Mapping[str, Values] | None = None) -> Gauge:
    """A value that rises and falls. ``unit`` names what it measures, such as ``events``, ``seconds`` or ``1 or 0``.

    Raises:
        ValueError: a convention is broken, or the name is taken.
    """
    return Gauge(name, meaning, _define(name, "gauge", meaning, unit, labels))


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
    return Histogram(name, meaning, _define(name, "histogram", meaning, unit, labels), buckets=buckets)
