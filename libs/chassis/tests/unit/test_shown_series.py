"""Gauges whose labels change: no scrape sees a series of before beside one of now."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge

from prizewire_chassis.metrics.definitions import show

Series = Mapping[tuple[str, ...], float]


class Scraped(Gauge):
    """A gauge that is scraped before each of its changes."""

    def scrape(self) -> None:
        """Record the series that a scrape sees now."""
        seen = {tuple(sample.labels.values()) for family in self.collect() for sample in family.samples}
        self.__dict__.setdefault("scrapes", []).append(seen)

    def labels(self, *values: str) -> "Scraped":  # type: ignore[override]  # labels are given in their order only
        """The series of these labels."""
        self.scrape()
        found: Scraped = super().labels(*values)
        self.scrape()
        return found

    def remove(self, *values: str) -> None:
        """Remove a series."""
        self.scrape()
        super().remove(*values)


def scrapes_of(before: Series, now: Series) -> list[set[tuple[str, ...]]]:
    """What scrapes see while the figures change."""
    gauge = Scraped("places", "Places.", ["rail", "state"], registry=CollectorRegistry())
    show(gauge, before)
    gauge.__dict__["scrapes"] = []
    show(gauge, now)
    gauge.scrape()
    found: list[set[tuple[str, ...]]] = gauge.__dict__["scrapes"]
    return found


def test_no_scrape_sees_old_and_new_series_together() -> None:
    """A sum over both would count the same things twice."""
    old, kept, new = ("fake", "held"), ("fake", "paid"), ("fake", "failed")
    scrapes = scrapes_of({old: 1, kept: 2}, {kept: 2, new: 1})
    assert scrapes[-1] == {kept, new}
    assert not any({old, new} <= seen for seen in scrapes)
    assert all(kept in seen for seen in scrapes)
