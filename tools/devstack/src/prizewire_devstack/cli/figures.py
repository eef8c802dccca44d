"""`prizewire status --watch`: the main figures of the dashboards in the terminal."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from prizewire_contracts.text import counted
from prizewire_devstack.cli.console import PIPE_WIDTH
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.components import prometheus
from prizewire_devstack.errors import NotRunningError
from prizewire_devstack.home import Home, RunRecord
from prizewire_devstack.monitoring.figures import Figure, Reading, Values, from_prometheus, from_services
from prizewire_devstack.monitoring.panels import Unit
from prizewire_devstack.monitoring.query import PrometheusError
from prizewire_devstack.monitoring.words import abbreviated, worded
from prizewire_devstack.stack.replicas import service_of

CIRCUITS: Final = {0: "closed", 1: "probing", 2: "open"}
UNKNOWN: Final = "unknown"
"""The value of a figure whose service does not answer."""
SHOWN_MAX: Final = 12
"""The most values of one figure that are shown: those that need somebody first, then the largest."""
WIDE_COLUMNS: Final = 120
"""Where a terminal has fewer columns, ids and groups are abbreviated."""
_HEADING_LINES: Final = 1


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
    first = _fitting(read(home.running()), console)
    with Live(first, console=console, auto_refresh=False, screen=False) as live:
        while True:
            time.sleep(every_s)
            live.update(_shown_now(home, console), refresh=True)


def _fitting(reading: Reading, console: Console) -> Group:
    """The figures as they fit the present size of a terminal; all of them where there is none."""
    if not console.is_terminal:
        return shown(reading)
    # the last line stays free, since the terminal scrolls when the command ends
    return shown(reading, height=console.height - 1, width=console.width)


def _shown_now(home: Home, console: Console) -> Group:
    """The figures, or the sentence that says why there are none at this time."""
    try:
        return _fitting(read(home.running()), console)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A value of a figure. ``red`` says that it needs somebody."""

    labels: str
    word: str
    red: bool


def shown(reading: Reading, *, height: int | None = None, width: int | None = None) -> Group:
    """The figures as one table. Values that need somebody are red, and so is what is unknown.

    ``height`` and ``width`` are the lines and columns that there are; None is no limit. With few lines a figure has fewer values, and
    says how many more there are. Those that need somebody stay longest. With few columns ids and groups are abbreviated.
    """
    notes = [Text(f"\n{datetime.now(UTC):%H:%M:%S} UTC, from {reading.source}.")]
    if reading.silent:
        notes.append(Text(f"These processes do not answer: {', '.join(reading.silent)}.", style="red"))
    found: list[tuple[Figure, Sequence[_Row]]] = [
        (figure, _rows(reading, figure, values)) for figure, values in reading.values
    ]
    counts = [SHOWN_MAX] * len(found)
    if height is not None:
        free = height - _HEADING_LINES - _lines_of(notes, width)
        found, hidden = _chosen(found, free)
        if hidden:
            notes.append(Text(f"{counted(hidden, 'more figure')}: make the terminal higher."))
        counts = _counts([rows for _, rows in found], free - bool(hidden))
    table = _table(found, counts, abbreviate=width is not None and width < WIDE_COLUMNS)
    return Group(table, *notes)


def _table(
    found: Sequence[tuple[Figure, Sequence[_Row]]], counts: Sequence[int], *, abbreviate: bool
) -> Table:
    """The values of figures, each figure with so many. The column of labels is the one that a narrow terminal cuts."""
    table = Table(
        Column(no_wrap=True),
        Column("figure", no_wrap=True),
        Column(),
        Column("value", no_wrap=True),
        box=None,
        pad_edge=False,
    )
    group = ""
    for (figure, rows), count in zip(found, counts, strict=True):
        hidden = rows[count:]
        kept = (
            rows[:count]
            if figure.least_first
            else sorted(rows[:count], key=lambda one: (one.word == UNKNOWN, one.labels))
        )
        for place, one in enumerate(kept or [_Row(labels="", word="none", red=False)]):
            word = Text(one.word, style="red" if one.red else "")
            if hidden and place == len(kept) - 1:
                word.append(
                    f", and {len(hidden)} more", style="red" if any(row.red for row in hidden) else ""
                )
            labels = abbreviated(one.labels) if abbreviate else one.labels
            table.add_row(
                Text(
                    "" if figure.group == group else _short(figure.group) if abbreviate else figure.group,
                    style="bold",
                ),
                figure.title if place == 0 else "",
                Text(labels, no_wrap=True, overflow="ellipsis"),
                word,
            )
            group = figure.group
    return table


def _short(group: str) -> str:
    """The first word of a group, which leaves place for labels."""
    return group.split(maxsplit=1)[0]


def _lines_of(notes: Sequence[Text], width: int | None) -> int:
    """How many lines texts have in a terminal of that width."""
    return len(Console(width=width or PIPE_WIDTH).render_lines(Group(*notes)))


def _chosen(
    found: Sequence[tuple[Figure, Sequence[_Row]]], lines: int
) -> tuple[list[tuple[Figure, Sequence[_Row]]], int]:
    """The figures that have a line each, in their order, and how many are left out: the last ones that need nobody at first."""
    if len(found) <= lines:
        return list(found), 0
    ranked = sorted(range(len(found)), key=lambda place: not any(row.red for row in found[place][1]))
    # one line says how many figures are left out
    kept = sorted(ranked[: max(lines - 1, 0)])
    return [found[place] for place in kept], len(found) - len(kept)


def _counts(rows: Sequence[Sequence[_Row]], lines: int) -> list[int]:
    """How many values of each figure are shown, in so many lines together: one of each, then those that need somebody."""
    counts = [1] * len(rows)
    for _ in range(lines - len(rows)):
        waiting = [place for place, count in enumerate(counts) if count < min(len(rows[place]), SHOWN_MAX)]
        if not waiting:
            break
        counts[min(waiting, key=lambda place: (not rows[place][counts[place]].red, counts[place]))] += 1
    return counts


def _rows(reading: Reading, figure: Figure, values: Values) -> list[_Row]:
    """The values of a figure, with those first that need somebody, then services whose value is unknown."""
    known = [
        _Row(labels=" ".join(key), word=_word(figure, value), red=_needs_somebody(figure, value))
        for key, value in _ranked(figure, values)
    ]
    unknown = [
        _Row(labels=service if len(figure.services) > 1 else "", word=UNKNOWN, red=True)
        for service in reading.unknown(figure)
    ]
    return [*(one for one in known if one.red), *unknown, *(one for one in known if not one.red)]


def _ranked(figure: Figure, values: Values) -> list[tuple[tuple[str, ...], float]]:
    """The values, the most important ones first: without zeros, unless all are zero or small values matter most."""
    if figure.least_first:
        return sorted(values.items(), key=lambda one: (one[1], one[0]))
    found = sorted(values.items(), key=lambda one: (not _needs_somebody(figure, one[1]), -one[1], one[0]))
    if figure.unit is not Unit.STATE:
        found = [one for one in found if one[1]] or [((), 0.0) for _ in found[:1]]
    return found


def _needs_somebody(figure: Figure, value: float) -> bool:
    if figure.good is None:
        return False
    return value > (60.0 if figure.unit is Unit.SECONDS else figure.good)


def _word(figure: Figure, value: float) -> str:
    return worded(value, figure.unit, CIRCUITS if figure.unit is Unit.STATE else None)
