"""How metrics are defined, and how their labels keep to the definition at run time."""

from collections.abc import Iterator
from enum import StrEnum

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from prizewire_chassis.metrics import HTTP_REQUESTS, definitions
from prizewire_chassis.metrics.definitions import OTHER, bounded, closed, counter, defined, gauge, histogram


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test's metrics leave the definitions and the registry with the test."""
    monkeypatch.setattr(definitions, "_defined", dict(definitions._defined))
    monkeypatch.setattr(definitions, "_limited", list(definitions._limited))
    before = set(REGISTRY._collector_to_names)
    yield
    for collector in set(REGISTRY._collector_to_names) - before:
        REGISTRY.unregister(collector)


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_a_bounded_label_has_no_more_values_than_its_bound() -> None:
    """All values beyond the bound are one series, and values that are there already are still counted."""
    seen = counter("prizewire_t_seen_total", "Seen.", unit="x", labels={"who": bounded("a caller", most=2)})
    for who in ("a", "b", "c", "d", "a"):
        seen.labels(who).inc()
    assert value("prizewire_t_seen_total", who="a") == 2
    assert value("prizewire_t_seen_total", who="c") is None
    assert value("prizewire_t_seen_total", who=OTHER) == 2


def test_a_series_that_goes_makes_room() -> None:
    """A value whose last series was removed does not count any more; one that another series has still does."""
    size = gauge(
        "prizewire_t_size",
        "Size.",
        unit="x",
        labels={"who": bounded("a caller", most=1), "colour": closed(Colour)},
    )
    size.labels("a", Colour.RED).set(1)
    size.labels(who="a", colour="blue").set(1)
    size.remove("a", "red")
    size.labels("b", "red").set(2)
    assert value("prizewire_t_size", who=OTHER, colour="red") == 2
    size.remove_by_labels({"who": "a"})
    size.labels("b", "red").set(3)
    assert value("prizewire_t_size", who="b", colour="red") == 3
    size.clear()
    size.labels("c", "red").set(4)
    assert value("prizewire_t_size", who="c", colour="red") == 4


def test_a_value_outside_a_closed_set_is_other_and_is_logged_once() -> None:
    """A wrong value does not stop the work that is counted, and does not make a series of its own."""
    took = histogram(
        "prizewire_t_took_seconds", "Took.", unit="seconds", labels={"colour": closed(Colour)}, buckets=(1,)
    )
    with capture_logs() as lines:
        for colour in ("red", "green", "white"):
            took.labels(colour).observe(0.5)
    assert value("prizewire_t_took_seconds_count", colour="red") == 1
    assert value("prizewire_t_took_seconds_count", colour=OTHER) == 2
    assert value("prizewire_t_took_seconds_count", colour="green") is None
    (line,) = lines
    assert (line["metric"], line["label"]) == ("prizewire_t_took_seconds", "colour")


@pytest.mark.parametrize(
    ("given", "named"), [(("a",), {}), (("a", "b", "c"), {}), (("a",), {"size": "b"}), ((), {"who": "a"}), ((), {"who": "a", "x": "b"})],
    ids=["too few", "too many", "both ways", "one missing", "an unknown one"],
)  # fmt: skip
def test_labels_are_complete(given: tuple[str, ...], named: dict[str, str]) -> None:
    """Missing and unknown labels are refused."""
    metric = gauge(
        "prizewire_t_two",
        "Two.",
        unit="x",
        labels={"who": bounded("one", most=3), "size": bounded("one", most=3)},
    )
    with pytest.raises(ValueError, match="labels of prizewire_t_two are"):
        metric.labels(*given, **named)


@pytest.mark.parametrize(
    ("name", "unit", "meaning", "why"),
    [
        ("requests_total", "x", "A sentence.", "begin with prizewire_"),
        ("prizewire_t_requests", "x", "A sentence.", "end with _total"),
        ("prizewire_t_wait_total", "seconds", "A sentence.", "must end with _seconds"),
        ("prizewire_t_wait_total", "x", "no sentence", "must be a sentence"),
        ("prizewire_http_requests_total", "x", "A sentence.", "defined twice"),
    ],
    ids=["prefix", "total", "unit", "meaning", "twice"],
)
def test_a_definition_keeps_the_conventions(name: str, unit: str, meaning: str, why: str) -> None:
    """A name, unit or meaning that breaks a convention is refused when the module is loaded."""
    with pytest.raises(ValueError, match=why):
        counter(name, meaning, unit=unit)


def test_every_definition_is_listed() -> None:
    """A metric without labels and one of the shared metrics are in the list."""
    counter("prizewire_t_plain_total", "Plain.", unit="x").inc()
    names = {metric.name for metric in defined()}
    assert {"prizewire_t_plain_total", HTTP_REQUESTS._name + "_total"} <= names


def test_a_counter_of_closed_labels_starts_at_zero() -> None:
    """Each combination has a series before its first event, so that an increase shows that event."""
    counter(
        "prizewire_test_starts_total",
        "Starts.",
        unit="starts",
        labels={"way": closed(("a", "b")), "end": closed(("x",))},
    )
    shown = [value("prizewire_test_starts_total", way=way, end="x") for way in "ab"]
    assert shown == [0, 0]


def test_a_counter_with_a_known_value_starts_at_zero() -> None:
    """A label that configuration decides has its value given; without it nothing can be shown."""
    made = counter(
        "prizewire_test_named_starts_total",
        "Starts.",
        unit="starts",
        labels={"job": bounded("a job", most=3), "end": closed(("x", "y"))},
    )
    assert value("prizewire_test_named_starts_total", job="one", end="x") is None
    definitions.start_at_zero(made, job="one")
    assert value("prizewire_test_named_starts_total", job="one", end="y") == 0
    with pytest.raises(ValueError, match="job"):
        definitions.start_at_zero(made)
