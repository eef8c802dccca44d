"""Forms of PromQL that many panels share.

Every process of a service shows the state of the service's database, so that a gauge of it is the largest of the processes, and never
their sum. Counters and gauges of one process are summed.
"""

from typing import Final

from prizewire_devstack.monitoring.rules import seconds_of

APPEARING: Final = frozenset(
    {
        "prizewire_events_refused_total",
        "prizewire_http_refused_total",
        "prizewire_http_requests_total",
        "prizewire_payout_holds_total",
        "prizewire_payouts_ended_total",
        "prizewire_rewards_auto_withdrawals_total",
        "prizewire_rewards_invariant_looked_at_total",
        "prizewire_rewards_invariant_whole_total",
    }
)
"""Counters whose series appear with their first event, since too many values of their labels are possible. `increase` of a series that
was not there before lacks its first value: what a new series rose by is its last value. Where its process began again since, that value is
of the last process only, and `increase` less `delta` is what the processes before had counted. All other counters begin at 0 with their
process.
"""

GAP_MAX: Final = "5m"
"""A series is new where it had no sample for so long before the window. Without it, one failed scrape would make every series new at the
time at which it is exactly one window ago.
"""


def _selected(metric: str, where: str) -> str:
    return f"{metric}{{{where}}}" if where else metric


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""


def largest(metric: str, *by: str, where: str = "") -> str:
    """A gauge that every process of a service shows alike."""
    return f"max{_by(by)} ({_selected(metric, where)})"


def total(metric: str, *by: str, of: tuple[str, ...], where: str = "") -> str:
    """The sum, by some labels, of a gauge that every process of a service shows alike; ``of`` has its other labels."""
    return f"sum{_by(by)} ({largest(metric, *by, *of, where=where)})"


def summed(metric: str, *by: str, where: str = "") -> str:
    """The sum of a gauge that each process shows of itself."""
    return f"sum{_by(by)} ({_selected(metric, where)})"


def risen(metric: str, *by: str, where: str = "", within: str = "1h") -> str:
    """By how much a counter rose in all processes together."""
    series = _selected(metric, where)
    if metric not in APPEARING:
        return f"sum{_by(by)} (increase({series}[{within}]))"
    last, rise = f"last_over_time({series}[{within}])", f"increase({series}[{within}])"
    before = f"last_over_time({series}[{GAP_MAX}] offset {within})"
    return (
        f"sum{_by(by)} (({last} unless resets({series}[{within}]) > 0 unless {before})"
        f" or ({last} + {rise} - delta({series}[{within}]) unless {before}) or {rise})"
    )


def per_second(metric: str, *by: str, where: str = "", within: str = "5m") -> str:
    """How fast a counter rises in all processes together."""
    if metric in APPEARING:
        return f"{risen(metric, *by, where=where, within=within)} / {seconds_of(within):g}"
    return f"sum{_by(by)} (rate({_selected(metric, where)}[{within}]))"


def quantile(share: float, histogram: str, *by: str, where: str = "", within: str = "5m") -> str:
    """The value that ``share`` of what a histogram observed did not exceed."""
    return f"histogram_quantile({share:g}, {per_second(f'{histogram}_bucket', *by, 'le', where=where, within=within)})"


def average(histogram: str, *by: str, where: str = "", within: str = "24h") -> str:
    """The average of what a histogram observed."""
    whole = risen(f"{histogram}_sum", *by, where=where, within=within)
    return f"{whole} / {risen(f'{histogram}_count', *by, where=where, within=within)}"


def share_of(part: str, whole: str) -> str:
    """One expression divided by another."""
    return f"{part} / {whole}"
