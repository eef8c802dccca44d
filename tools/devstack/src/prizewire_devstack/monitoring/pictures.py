"""Every panel of a dashboard as one picture, drawn from a running Prometheus by matplotlib (the extra ``drawing``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from prizewire_devstack.monitoring import charts
from prizewire_devstack.monitoring.charts import Answers, Window
from prizewire_devstack.monitoring.panels import WIDTH, Dashboard, Kind, Panel, Watch, chosen
from prizewire_devstack.monitoring.query import Prometheus, Series

COLUMN_INCHES: Final = 0.55
ROW_INCHES: Final = 0.29
HEADING_INCHES: Final = 0.42
GAP: Final = 0.3
"""The space around a panel, in inches."""
DPI: Final = 62
COLOURS: Final = 96
"""The colours of a file: enough to keep those of all lines and their edges apart."""
TITLE_INCHES: Final = 0.32
_MARGINS: Final = {
    Kind.TIMESERIES: (0.95, 2.3, 0.3),
    Kind.BAR: (2.3, 0.35, 0.3),
    Kind.GAUGE: (2.3, 0.35, 0.3),
    Kind.TABLE: (0.2, 0.15, 0.3),
    Kind.STAT: (0.2, 0.15, 0.25),
}
"""The space left of, right of and below the axes of a panel, in inches. The legend of lines is right of them, the names of bars are left,
and what is left out is said below.
"""
_GREY: Final = "#666666"
_BLUE: Final = "#1f60c4"


def draw(
    prometheus: Prometheus,
    dashboard: Dashboard,
    file: Path,
    *,
    watches: Mapping[str, Watch],
    start_s: float,
    end_s: float,
) -> None:
    """Draw a dashboard between two Unix times in seconds into a PNG file. All panels have this time on their axes.

    Raises:
        PrometheusError: Prometheus did not answer, or refused a query.
    """
    mpl.use("Agg")
    window = Window(start_s=start_s, end_s=end_s)
    found = places(dashboard)
    height = max(place.top + place.tall for place in found) + GAP
    figure = Figure(figsize=(WIDTH * COLUMN_INCHES, height), dpi=DPI, facecolor="white")
    for place in found:
        if isinstance(place.what, str):
            middle = 1 - (place.top + place.tall * 0.6) / height
            figure.text(0.008, middle, place.what, fontsize=13, weight="bold")
            continue
        axes = figure.add_axes(place.axes_in(height, place.what.kind))
        answers = _answers(prometheus, place.what, window)
        charts.draw(axes, place.what, answers, watch=watches.get(place.what.alert or ""), window=window)
    figure.text(0.008, 1 - 0.25 / height, dashboard.title, fontsize=15, weight="bold", color=_BLUE)
    shown = " to ".join(f"{datetime.fromtimestamp(one, UTC):%Y-%m-%d %H:%M:%S}" for one in (start_s, end_s))
    figure.text(0.992, 1 - 0.25 / height, f"{shown} UTC", fontsize=9, color=_GREY, ha="right")
    save(figure, file)


def save(figure: Figure, file: Path) -> None:
    """Write a PNG file of few colours, which is a third as large."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(COLOURS).save(file, optimize=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a heading or a panel stands, in inches from the top left."""

    what: Panel | str
    left: float
    top: float
    wide: float
    tall: float

    def axes_in(self, height: float, kind: Kind) -> tuple[float, float, float, float]:
        """The place of a panel's axes, as parts of a figure of that height."""
        before, after, below = _MARGINS[kind]
        whole = WIDTH * COLUMN_INCHES
        return (
            (self.left + before) / whole,
            1 - (self.top + self.tall - below) / height,
            (self.wide - before - after) / whole,
            (self.tall - TITLE_INCHES - below) / height,
        )


def places(dashboard: Dashboard) -> list[Place]:
    """Headings and panels, as Grafana places them."""
    found: list[Place] = []
    top = HEADING_INCHES
    for row in dashboard.rows:
        found.append(
            Place(what=row.title, left=0.0, top=top, wide=WIDTH * COLUMN_INCHES, tall=HEADING_INCHES)
        )
        top += HEADING_INCHES
        column, tallest = 0, 0
        for panel in row.panels:
            if column + panel.columns > WIDTH:
                top, column, tallest = top + tallest * ROW_INCHES, 0, 0
            found.append(
                Place(
                    what=panel,
                    left=column * COLUMN_INCHES,
                    top=top,
                    wide=panel.columns * COLUMN_INCHES,
                    tall=panel.rows * ROW_INCHES,
                )
            )
            column, tallest = column + panel.columns, max(tallest, panel.rows)
        top += tallest * ROW_INCHES
    return found


def _answers(prometheus: Prometheus, panel: Panel, window: Window) -> Answers:
    found: list[tuple[str, Sequence[Series]]] = []
    for query in panel.queries:
        expr = chosen(query.expr)
        if panel.kind is Kind.TIMESERIES:
            series = prometheus.between(
                expr, start_s=window.start_s, end_s=window.end_s, step_s=window.step_s
            )
        else:
            series = prometheus.now(expr)
        found.append((query.legend, series))
    return found
