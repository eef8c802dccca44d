"""What a running Prometheus answers, over its HTTP API (prometheus.io, "HTTP API")."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from prizewire_devstack.errors import DevstackError

TIMEOUT_S: Final = 30.0
TAKEN_AT: Final = "timestamp(prizewire_build_info)"
"""When each process answered last, in Unix seconds."""
_LABEL: Final = re.compile(r"\{\{ *([a-z_]+) *\}\}")


class PrometheusError(DevstackError):
    """Prometheus did not answer, or refused a query. ``code`` is ``prometheus_unreachable``, or Prometheus' own type of error."""

    def __init__(self, sentence: str, *, code: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of an answer. ``points`` are pairs of Unix time in seconds and value, one pair where the question was about now."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The newest value."""
        return self.points[-1][1]

    def name(self, legend: str) -> str:
        """The legend with the labels of this series."""
        return _LABEL.sub(lambda found: self.labels.get(found.group(1), ""), legend).strip()


class Prometheus:
    """One Prometheus. Use as a context manager, which closes its connections."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)
        self._url = url

    def __enter__(self) -> Self:
        """Open; the first question connects."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def now(self, expr: str) -> tuple[Series, ...]:
        """What an expression gives now.

        Raises:
            PrometheusError: there was no answer, or the expression is invalid.
        """
        found = self._ask("/api/v1/query", {"query": expr})
        if found["resultType"] == "scalar":
            return (Series(labels={}, points=_points([found["result"]])),)
        return tuple(Series(labels=one["metric"], points=_points([one["value"]])) for one in found["result"])

    def between(self, expr: str, *, start_s: float, end_s: float, step_s: float) -> tuple[Series, ...]:
        """What an expression gave at each step from ``start_s`` to ``end_s`` (Unix time in seconds).

        Raises:
            PrometheusError: there was no answer, or the expression is invalid.
        """
        asked = {"query": expr, "start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:g}"}
        found = self._ask("/api/v1/query_range", asked)
        return tuple(Series(labels=one["metric"], points=_points(one["values"])) for one in found["result"])

    def begin_s(self, *, since_s: float, until_s: float, step_s: float) -> float:
        """The Unix time in seconds from which answers have no sample of before ``since_s``.

        Prometheus shows the last sample of a series for up to five minutes. After a new start with the data of an earlier run, it
        shows values of that run until each process has answered. Processes that do not answer any more do not count.

        Raises:
            PrometheusError: there was no answer.
        """
        begin_s = since_s
        for target in self.between(TAKEN_AT, start_s=since_s, end_s=until_s, step_s=step_s):
            earlier = [at for at, taken_s in target.points if taken_s < since_s]
            if earlier and len(earlier) < len(target.points):
                begin_s = max(begin_s, earlier[-1] + step_s)
        return begin_s

    def values(self, metric: str, label: str) -> tuple[str, ...]:
        """The values that a label of a metric has now, sorted.

        Raises:
            PrometheusError: there was no answer.
        """
        return tuple(
            sorted({one.labels.get(label, "") for one in self.now(f"group by ({label}) ({metric})")})
        )

    def _ask(self, path: str, query: Mapping[str, str]) -> Any:
        try:
            answer = self._client.post(path, data=query)
            document = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise PrometheusError(
                f"Prometheus at {self._url} does not answer: start the stack with `prizewire up --monitoring`.",
                code="prometheus_unreachable",
            ) from error
        if document.get("status") != "success":
            raise PrometheusError(
                f"Prometheus refused the query {query['query']}: {document.get('error', answer.status_code)}.",
                code=str(document.get("errorType", "unknown")),
            )
        return document["data"]


def _points(values: list[Any]) -> tuple[tuple[float, float], ...]:
    """Times and values; Prometheus writes ``NaN``, ``+Inf`` and ``-Inf``, which `float` reads."""
    return tuple((float(at), float(value)) for at, value in values)
