"""`prizewire status --watch`: the main figures of the dashboards in the terminal."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.components import prometheus
from prizewire_devstack.errors import NotRunningError
from prizewire_devstack.home import Home, RunRecord
from prizewire_devstack.monitoring.figures import Figure, Reading, Values, from_prometheus, from_services
from prizewire_devstack.monitoring.panels import Unit
from prizewire_devstack.monitoring.query import PrometheusError
from prizewire_devstack.monitoring.words import worded
from prizewire_devstack.stack.replicas import service_of

CIRCUITS: Final = {0: "closed", 1: "probing", 2: "open"}
UNKNOWN: Final = "unknown"
"""The value of a figure whose service does not answer."""
SHOWN_MAX: Final = 12
"""How many values of one figure are shown: those that need somebody first, then the largest."""


def read(run: RunRecord) -> Reading:
    """The figures of the running stack: from its Prometheus, else from its services.

    Raises:
        NotRunningError: neither answers.
    """
    if (url := run.urls.get(prometheus.NAME)) is not None:
        # Where it does not answer, the services themselves may.
        with suppress(PrometheusError):
            return from_prometheus(url)
    found = from_services(run.urls, service_of=service_of)
    if not any(values for _, values in found.values):
        raise NotRunningError(
            "Neither Prometheus nor a service answers: `prizewire status` shows which parts run."
        )
    return found


def watch(*, once: bool, as_json: bool, every_s: float) -> int:
    """Show the figures until Ctrl-C, or once. Exit code 1 where a process does not answer, so that figures may be missing.

    A stack that stops or starts again meanwhile ends nothing: the sentence about it stands instead of the figures.

    Raises:
        NotRunningError: at the beginning, no stack runs, or nobody answers.
    """
    home = Home.default()
    if as_json:
        reading = read(home.running())
        click.echo(json.dumps(document(reading)))
        return 1 if reading.silent else 0
    console = make_console()
    if once:
        reading = read(home.running())
        console.print(shown(reading))
        return 1 if reading.silent else 0
    with Live(shown(read(home.running())), console=console, auto_refresh=False, screen=False) as live:
        while True:
            time.sleep(every_s)
            live.update(_shown_now(home), refresh=True)


def _shown_now(home: Home) -> Group:
    """The figures, or the sentence that says why there are none at this time."""
    try:
        return shown(read(home.running()))
    except NotRunningError as error:
        return Group(Text(f"{datetime.now(UTC):%H:%M:%S} UTC. {error}", style="red"))


def document(reading: Reading) -> dict[str, Any]:
    """The figures as JSON: title, labels and value; and the figures that are unknown, since a service does not answer."""
    return {
        "source": reading.source,
        "silent": list(reading.silent),
        "unknown": [
            {"title": figure.title, "metric": figure.metric, "service": service}
            for figure, _ in reading.values
            for service in reading.unknown(figure)
        ],
        "figures": [
            {
                "group": figure.group,
                "title": figure.title,
                "metric": figure.metric,
                "labels": dict(zip(figure.by, key, strict=True)),
                "value": value,
            }
            for figure, values in reading.values
            for key, value in sorted(values.items())
        ],
    }


def shown(reading: Reading) -> Group:
    """The figures as one table. Values that need somebody are red, and so is what is unknown."""
    table = Table("", "figure", "", "value", box=None, pad_edge=False)
    group = ""
    for figure, values in reading.values:
        rows = [
            (" ".join(key), Text(_word(figure, value), style="red" if _needs_somebody(figure, value) else ""))
            for key, value in _first(figure, values)
        ]
        unknown = reading.unknown(figure)
        rows += [
            (service if len(figure.services) > 1 else "", Text(UNKNOWN, style="red")) for service in unknown
        ]
        for place, (key, word) in enumerate(rows or [("", Text("none"))]):
            table.add_row(
                Text(figure.group if figure.group != group else "", style="bold"),
                figure.title if place == 0 else "",
                key,
                word,
            )
            group = figure.group
    notes = [Text(f"\n{datetime.now(UTC):%H:%M:%S} UTC, from {reading.source}.")]
    if reading.silent:
        notes.append(Text(f"These processes do not answer: {', '.join(reading.silent)}.", style="red"))
    return Group(table, *notes)


def _first(figure: Figure, values: Values) -> list[tuple[tuple[str, ...], float]]:
    """The values to show: without zeros, unless all are zero or small values matter most."""
    if figure.least_first:
        return sorted(values.items(), key=lambda one: (one[1], one[0]))[:SHOWN_MAX]
    found = sorted(values.items(), key=lambda one: (not _needs_somebody(figure, one[1]), -one[1], one[0]))
    if figure.unit is not Unit.STATE:
        found = [one for one in found if one[1]] or [((), 0.0) for _ in found[:1]]
    return sorted(found[:SHOWN_MAX])


def _needs_somebody(figure: Figure, value: float) -> bool:
    if figure.good is None:
        return False
    return value > (60.0 if figure.unit is Unit.SECONDS else figure.good)


def _word(figure: Figure, value: float) -> str:
    return worded(value, figure.unit, CIRCUITS if figure.unit is Unit.STATE else None)
