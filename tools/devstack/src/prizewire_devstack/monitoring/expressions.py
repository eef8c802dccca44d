"""Forms of PromQL that many panels share.

Every process of a service shows the state of the service's database, so that a gauge of it is the largest of the processes, and never
their sum. Counters and gauges of one process are summed.
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
    return f"sum{_by(by)} (increase({_selected(metric, where)}[{within}]))"


def per_second(metric: str, *by: str, where: str = "", within: str = "5m") -> str:
    """How fast a counter rises in all processes together."""
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
