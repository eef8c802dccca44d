"""The rows of a table panel: queries merged by their labels, as Grafana's transformation ``merge`` does."""

from collections.abc import Mapping, Sequence

from prizewire_devstack.monitoring.query import Series


def merged(
    answers: Sequence[tuple[str, Sequence[Series]]],
) -> tuple[tuple[str, ...], list[tuple[Mapping[str, str], Mapping[str, float]]]]:
    """The names of all labels, and one row for each set of labels: the labels, and the value of each answer by its legend."""
    rows: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for legend, found in answers:
        for series in found:
            rows.setdefault(tuple(sorted(series.labels.items())), {})[legend] = series.value
    labels = tuple(dict.fromkeys(name for key in rows for name, _ in key))
    return labels, [(dict(key), values) for key, values in sorted(rows.items())]
