"""What a service shows at /metrics, compared with the definitions of its metrics."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

OTHER = "other"
OF_THE_CLIENT = ("process_", "python_")
"""Metrics of the Prometheus client about the process itself."""
_SAMPLES = {
    "counter": ("_total", "_created"),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
}
"""The endings of the samples of a metric, after its name without ``_total``."""


def differences(text: str, definitions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where an answer of /metrics differs from the definitions, as sentences: a metric that is not defined, other labels, a value
    outside a closed set, more values than the bound beside ``other``.
    """
    metrics = {
        one["name"].removesuffix("_total") + ending: one
        for one in definitions
        for ending in _SAMPLES[one["kind"]]
    }
    values: dict[tuple[str, str], set[str]] = {}
    found: set[str] = set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith(OF_THE_CLIENT):
                continue
            metric = metrics.get(sample.name)
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            if metric is None:
                found.add(f"{sample.name} is not defined")
            elif labels.keys() != metric["labels"].keys():
                found.add(f"{metric['name']} has the labels {sorted(labels)}")
            else:
                for name, value in labels.items():
                    values.setdefault((metric["name"], name), set()).add(value)
    by_name = {one["name"]: one for one in definitions}
    for (metric_name, label), shown in sorted(values.items()):
        found |= set(_outside(metric_name, label, shown, by_name[metric_name]["labels"][label]))
    return sorted(found)


def _outside(metric: str, label: str, shown: set[str], allowed: Mapping[str, Any]) -> Iterator[str]:
    if allowed["values"] is not None:
        for value in sorted(shown - set(allowed["values"])):
            yield f"{metric} has {label}={value!r}, which is not in its set"
    elif len(shown - {OTHER}) > allowed["most"]:
        yield f"{metric} has {len(shown)} values of {label}, and {allowed['most']} are allowed"
