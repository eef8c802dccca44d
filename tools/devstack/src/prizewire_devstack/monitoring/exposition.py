"""The figures of services without Prometheus: their own `/metrics`, read once (prometheus.io, "Exposition formats")."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of one process, with the labels of the process (`service`, `part`) beside its own."""

    name: str
    labels: Mapping[str, str]
    value: float


def parsed(text: str, labels: Mapping[str, str]) -> list[Sample]:
    """The values of one answer. ``labels`` are those of the process; they win, as in Prometheus."""
    return [
        Sample(name=sample.name, labels={**sample.labels, **labels}, value=sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def read(urls: Mapping[str, str], *, service_of: Mapping[str, str]) -> tuple[list[Sample], tuple[str, ...]]:
    """The values of every process, asked concurrently, and the names of those that did not answer.

    ``urls`` has the address of each process, and ``service_of`` its service.
    """
    with ThreadPoolExecutor(max(len(urls), 1)) as pool:
        answers = dict(zip(urls, pool.map(_ask, urls.values()), strict=True))
    found: list[Sample] = []
    silent = []
    for part, text in answers.items():
        try:
            found += parsed(text or "", {"service": service_of[part], "part": part})
        except ValueError:
            text = None  # noqa: PLW2901 - another program has the port: no metrics
        if text is None:
            silent.append(part)
    return found, tuple(silent)


def _ask(url: str) -> str | None:
    try:
        answer = httpx.get(f"{url}/metrics", timeout=TIMEOUT_S, trust_env=False)
    except httpx.TransportError:
        return None
    return answer.text if answer.status_code == httpx.codes.OK else None


def largest(
    samples: Iterable[Sample], name: str, *by: str, where: Mapping[str, str] | None = None
) -> dict[tuple[str, ...], float]:
    """The largest value for each set of these labels, as `monitoring.expressions.largest` asks Prometheus."""
    return _grouped(samples, name, by, where or {}, largest_only=True)


def summed(
    samples: Iterable[Sample], name: str, *by: str, where: Mapping[str, str] | None = None
) -> dict[tuple[str, ...], float]:
    """The sum for each set of these labels."""
    return _grouped(samples, name, by, where or {}, largest_only=False)


def _grouped(
    samples: Iterable[Sample],
    name: str,
    by: tuple[str, ...],
    where: Mapping[str, str],
    *,
    largest_only: bool,
) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for sample in samples:
        if sample.name != name or any(sample.labels.get(key) != value for key, value in where.items()):
            continue
        key = tuple(sample.labels.get(label, "") for label in by)
        known = found.get(key)
        if known is None:
            found[key] = sample.value
        else:
            found[key] = max(known, sample.value) if largest_only else known + sample.value
    return found
