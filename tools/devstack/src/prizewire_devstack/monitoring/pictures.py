"""Every panel of a dashboard as one picture, drawn from a running Prometheus by matplotlib (the extra ``drawing``)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from textwrap import shorten
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from prizewire_devstack.monitoring.panels import WIDTH, Dashboard, Kind, Panel, Unit, Watch, chosen
from prizewire_devstack.monitoring.query import Prometheus, Series
from prizewire_devstack.monitoring.tables import merged
from prizewire_devstack.monitoring.words import AXES, abbreviated, worded

POINTS: Final = 120
"""How many points a line has."""
COLUMN_INCHES: Final = 0.55
ROW_INCHES: Final = 0.29
HEADING_INCHES: Final = 0.42
GAP: Final = 0.3
"""The space around a panel, in inches."""
LINES_MAX: Final = 8
"""How many lines, bars, numbers or rows of a table a panel shows; the largest ones."""
DPI: Final = 62
COLOURS: Final = 40
TITLE_INCHES: Final = 0.32
_MARGINS: Final = {
    Kind.TIMESERIES: (0.95, 0.15, 0.3),
    Kind.BAR: (1.9, 0.35, 0.3),
    Kind.GAUGE: (1.9, 0.35, 0.3),
}
"""The space left of, right of and below the axes of a panel, in inches."""
HEADROOM: Final = 1.5
"""The height of a panel of lines over its largest value: the legend stands above the lines."""
_GREY: Final = "#666666"
_RED: Final = "#c4162a"
_BLUE: Final = "#1f60c4"

Answers = Sequence[tuple[str, Sequence[Series]]]


def draw(
    prometheus: Prometheus,
    dashboard: Dashboard,
    file: Path,
    *,
    watches: Mapping[str, Watch],
    start_s: float,
    end_s: float,
) -> None:
    """Draw a dashboard between two Unix times in seconds into a PNG file.

    Raises:
        PrometheusError: Prometheus did not answer, or refused a query.
    """
    mpl.use("Agg")
    places = _places(dashboard)
    height = max(place.top + place.tall for place in places) + GAP
    figure = Figure(figsize=(WIDTH * COLUMN_INCHES, height), dpi=DPI, facecolor="white")
    for place in places:
        if isinstance(place.what, str):
            middle = 1 - (place.top + place.tall * 0.6) / height
            figure.text(0.008, middle, place.what, fontsize=13, weight="bold")
            continue
        axes = figure.add_axes(place.axes_in(height, place.what.kind))
        answers = _answers(prometheus, place.what, start_s, end_s)
        _panel(axes, place.what, answers, watches.get(place.what.alert or ""))
    figure.text(0.008, 1 - 0.25 / height, dashboard.title, fontsize=15, weight="bold", color=_BLUE)
    _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    """Write a PNG file of few colours, which is a third as large."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(COLOURS).save(file, optimize=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a heading or a panel stands, in inches from the top left."""

    what: Panel | str
    left: float
    top: float
    wide: float
    tall: float

    def axes_in(self, height: float, kind: Kind) -> tuple[float, float, float, float]:
        """The place of a panel's axes, as parts of a figure of that height."""
        before, after, below = _MARGINS.get(kind, (0.2, 0.15, 0.1))
        whole = WIDTH * COLUMN_INCHES
        return (
            (self.left + before) / whole,
            1 - (self.top + self.tall - below) / height,
            (self.wide - before - after) / whole,
            (self.tall - TITLE_INCHES - below) / height,
        )


def _places(dashboard: Dashboard) -> list[_Place]:
    """Headings and panels, as Grafana places them."""
    places: list[_Place] = []
    top = HEADING_INCHES
    for row in dashboard.rows:
        places.append(
            _Place(what=row.title, left=0.0, top=top, wide=WIDTH * COLUMN_INCHES, tall=HEADING_INCHES)
        )
        top += HEADING_INCHES
        column, tallest = 0, 0
        for panel in row.panels:
            if column + panel.columns > WIDTH:
                top, column, tallest = top + tallest * ROW_INCHES, 0, 0
            places.append(
                _Place(
                    what=panel,
                    left=column * COLUMN_INCHES,
                    top=top,
                    wide=panel.columns * COLUMN_INCHES,
                    tall=panel.rows * ROW_INCHES,
                )
            )
            column, tallest = column + panel.columns, max(tallest, panel.rows)
        top += tallest * ROW_INCHES
    return places


def _answers(prometheus: Prometheus, panel: Panel, start_s: float, end_s: float) -> Answers:
    step_s = max(1.0, (end_s - start_s) / POINTS)
    found: list[tuple[str, Sequence[Series]]] = []
    for query in panel.queries:
        expr = chosen(query.expr)
        if panel.kind is Kind.TIMESERIES:
            series = prometheus.between(expr, start_s=start_s, end_s=end_s, step_s=step_s)
        else:
            series = prometheus.now(expr)
        found.append((query.legend, series))
    return found


def _panel(axes: Axes, panel: Panel, answers: Answers, watch: Watch | None) -> None:
    narrow = panel.columns < 6
    axes.set_title(panel.title, fontsize=8 if narrow else 10, loc="left", pad=4)
    if not any(series for _, series in answers):
        axes.axis("off")
        axes.text(0.5, 0.5, "nothing yet", ha="center", color=_GREY, transform=axes.transAxes)
        return
    match panel.kind:
        case Kind.TIMESERIES:
            _lines(axes, panel, answers, watch)
        case Kind.STAT:
            _numbers(axes, panel, answers, watch)
        case Kind.TABLE:
            _table(axes, panel, answers)
        case _:
            _bars(axes, panel, answers)


def _named(answers: Answers) -> list[tuple[str, Series]]:
    """Every series with its name; the largest ones where there are many."""
    found = [(abbreviated(series.name(legend)), series) for legend, all_of in answers for series in all_of]
    if len(found) <= LINES_MAX:
        return found
    return sorted(found, key=lambda one: -_peak(one[1]))[:LINES_MAX]


def _peak(series: Series) -> float:
    """The largest value of a series that is a number."""
    return max((value for _, value in series.points if not math.isnan(value)), default=0.0)


def _lines(axes: Axes, panel: Panel, answers: Answers, watch: Watch | None) -> None:
    found = _named(answers)
    for name, series in found:
        at = [second for second, _ in series.points]
        axes.plot(at, [value for _, value in series.points], linewidth=1.6, label=shorten(name, 34))
    values = [value for _, series in found for _, value in series.points if math.isfinite(value)]
    high = max(values, default=0.0)
    axes.set_ylim(min([0.0, *values]), high * HEADROOM if high > 0 else 1.0)
    threshold = None if watch is None else watch.threshold_of(panel)
    if threshold is not None:
        _threshold(axes, panel, threshold)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(_clock))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=panel.unit in (Unit.YES_NO, Unit.STATE, Unit.COUNT)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: worded(value, panel.unit, panel.names)))
    axes.set_title(AXES[panel.unit], fontsize=8, color=_GREY, loc="right", pad=4)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, color="#e5e5e5")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, loc="upper left", frameon=False, ncols=2)


def _clock(second: float, _: object) -> str:
    """The time of day in UTC."""
    return f"{datetime.fromtimestamp(second, UTC):%H:%M:%S}"


def _threshold(axes: Axes, panel: Panel, threshold: float) -> None:
    """The line at which the alert fires; a note where it is far above every value."""
    _, high = axes.get_ylim()
    word = worded(threshold, panel.unit)
    if threshold > 4 * high:
        axes.text(
            0.99, 0.94, f"alert at {word}", color=_RED, fontsize=8, ha="right", transform=axes.transAxes
        )
        return
    axes.set_ylim(axes.get_ylim()[0], max(high, threshold * 1.2))
    axes.axhline(threshold, color=_RED, linestyle="--", linewidth=1.2, label=f"alert at {word}")


def _numbers(axes: Axes, panel: Panel, answers: Answers, watch: Watch | None) -> None:
    axes.axis("off")
    found = _named(answers)
    threshold = None if watch is None else watch.threshold_of(panel)
    for place, (name, series) in enumerate(found):
        across = (place + 0.5) / len(found)
        bad = threshold is not None and _is_bad(series.value, threshold, panel)
        axes.text(
            across,
            0.55,
            worded(series.value, panel.unit, panel.names),
            ha="center",
            va="center",
            fontsize=20 if len(found) < 4 else 13,
            color=_RED if bad else "#1b7837",
            transform=axes.transAxes,
        )
        axes.text(
            across, 0.08, shorten(name, 24), ha="center", fontsize=8, color=_GREY, transform=axes.transAxes
        )


def _is_bad(value: float, threshold: float, panel: Panel) -> bool:
    return value < threshold if panel.least else value > threshold


def _bars(axes: Axes, panel: Panel, answers: Answers) -> None:
    found = _named(answers)
    values = [0.0 if math.isnan(series.value) else series.value for _, series in found]
    axes.barh(range(len(found)), values, color=_BLUE, height=0.6)
    axes.set_yticks(range(len(found)), [shorten(name, 30) for name, _ in found], fontsize=8)
    axes.invert_yaxis()
    right = 1.0 if panel.kind is Kind.GAUGE else max([*values, 1e-9])
    axes.set_xlim(0, right * 1.25)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    for place, (_, series) in enumerate(found):
        axes.text(
            values[place] + right * 0.02, place, worded(series.value, panel.unit), va="center", fontsize=9
        )
    if len(found) < 4:
        axes.set_ylim(3.5, -0.7)


def _table(axes: Axes, panel: Panel, answers: Answers) -> None:
    axes.axis("off")
    labels, rows = merged(answers)
    legends = [legend for legend, _ in answers]
    cells = [
        [
            *(shorten(abbreviated(keys.get(label, "")), 34, placeholder="…") for label in labels),
            *(worded(values[legend], panel.unit) if legend in values else "" for legend in legends),
        ]
        for keys, values in rows[:LINES_MAX]
    ]
    drawn = axes.table(
        cells, colLabels=[*labels, *legends], loc="upper left", cellLoc="left", edges="horizontal"
    )
    drawn.auto_set_font_size(value=False)
    drawn.set_fontsize(8)
    drawn.auto_set_column_width(list(range(len(labels) + len(legends))))
    if len(rows) > LINES_MAX:
        axes.text(
            0.0, 0.0, f"and {len(rows) - LINES_MAX} more", fontsize=8, color=_GREY, transform=axes.transAxes
        )
