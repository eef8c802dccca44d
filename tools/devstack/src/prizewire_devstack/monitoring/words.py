"""Values of panels as people read them."""

import math
import re
from collections.abc import Mapping
from typing import Final

from prizewire_devstack.monitoring.panels import Unit

_UUID: Final = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
DECIMALS_MAX: Final = 7
"""The most decimals of an amount that are shown: those of Stellar's assets."""
EXACT_MAX: Final = 1e8
"""From this amount on Prometheus' numbers have no seven exact decimals, and two are shown."""
_LENGTHS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
AXES: Mapping[Unit, str] = {
    Unit.COUNT: "number",
    Unit.SECONDS: "seconds",
    Unit.SHARE: "share",
    Unit.MONEY: "units of the asset",
    Unit.PER_SECOND: "per second",
    Unit.YES_NO: "yes or no",
    Unit.STATE: "state",
}
"""What stands beside an axis."""


def worded(value: float, unit: Unit, names: Mapping[int, str] | None = None) -> str:
    """A value with its unit, as `2.5 h` or `95 %`. ``names`` has words for values."""
    if math.isnan(value):
        return "not known"
    if math.isinf(value):
        return "unlimited"
    if names and value in names:
        return names[int(value)]
    match unit:
        case Unit.SECONDS:
            return _length(value)
        case Unit.SHARE:
            return _share(value)
        case Unit.MONEY:
            return _money(value)
        case Unit.PER_SECOND:
            return f"{value:.3g}/s"
        case Unit.YES_NO:
            return "yes" if value else "no"
        case _:
            return f"{value:,.0f}" if abs(value) >= 10 or abs(value - round(value)) < 0.05 else f"{value:.1f}"


def abbreviated(text: str) -> str:
    """A text whose UUIDs have their first eight digits only."""
    return _UUID.sub(r"\1…", text)


def _money(value: float) -> str:
    """At least two decimals, and as many as an asset may have where the number has them."""
    if abs(value) >= EXACT_MAX:
        return f"{value:,.2f}"
    whole, _, decimals = f"{value:,.{DECIMALS_MAX}f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def _share(value: float) -> str:
    if abs(value) < 10:
        return f"{value * 100:.3g} %"
    return f"{value:,.0f} times" if abs(value) < 1e6 else f"{value / 1e6:,.0f} million times"


def _length(value_s: float) -> str:
    for seconds, name in _LENGTHS:
        if abs(value_s) >= 2 * seconds:
            return f"{value_s / seconds:.1f} {name}"
    return f"{value_s:.2g} s" if abs(value_s) < 10 else f"{value_s:.0f} s"
