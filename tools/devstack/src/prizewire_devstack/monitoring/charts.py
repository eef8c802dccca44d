"""One panel on the axes of a picture, drawn by matplotlib (the extra ``drawing``)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from prizewire_devstack.monitoring.panels import Kind, Panel, Unit, Watch
from prizewire_devstack.monitoring.query import Series
from prizewire_devstack.monitoring.tables import merged
from prizewire_devstack.monitoring.words import AXES, abbreviated, worded

POINTS: Final = 120
"""How many points a line has."""
PALETTE: Final = (
    "#1f60c4",
    "#ff9830",
    "#1b7837",
    "#7b3294",
    "#17becf",
    "#8c564b",
    "#f06eb5",
    "#222222",
)
"""The colours of lines. None is red, which is the colour of alerts."""
LINES_MAX: Final = len(PALETTE)
"""How many lines, bars, numbers or rows of a table a panel shows; the largest ones. So no colour stands for two lines."""
NAME_MAX: Final = 30
"""The most characters of a name in a legend or beside a bar: as many as have a place there."""
TICKS_MAX: Final = 4
"""The most times of day on an axis."""
_TICKS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
_HEADROOM: Final = 1.1
_FOOT: Final = 0.04
"""The part of the height below 0, so that a line at 0 is seen."""
_FAR: Final = 4
"""How many times the height of its panel a threshold is too far away to be drawn as a line."""
_GREY: Final = "#666666"
_RED: Final = "#c4162a"

Answers = Sequence[tuple[str, Sequence[Series]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time that a picture shows, in Unix seconds. All its panels have the same axis of time."""

    start_s: float
    end_s: float

    @property
    def step_s(self) -> float:
        """The seconds between two points of a line."""
        return max(1.0, (self.end_s - self.start_s) / POINTS)

    @property
    def ticks(self) -> tuple[list[float], str]:
        """The times that stand at the axis, and how they are written."""
        span = max(self.end_s - self.start_s, 1.0)
        apart = next((one for one in _TICKS_S if span / one <= TICKS_MAX), _TICKS_S[-1])
        first = math.ceil(self.start_s / apart)
        last = math.floor(self.end_s / apart)
        return [float(one * apart) for one in range(first, last + 1)], "%H:%M:%S" if apart < 60 else "%H:%M"


def draw(axes: Axes, panel: Panel, answers: Answers, *, watch: Watch | None, window: Window) -> None:
    """Draw a panel of any kind on its axes."""
    axes.set_title(panel.title, fontsize=8 if panel.columns < 6 else 10, loc="left", pad=4)
    if panel.kind is Kind.TIMESERIES:
        _lines(axes, panel, answers, watch, window)
        return
    if not any(series for _, series in answers):
        axes.axis("off")
        axes.text(0.5, 0.5, "nothing yet", ha="center", color=_GREY, transform=axes.transAxes)
        return
    match panel.kind:
        case Kind.STAT:
            _numbers(axes, panel, answers, watch)
        case Kind.TABLE:
            _table(axes, panel, answers)
        case _:
            _bars(axes, panel, answers)


def with_gaps(
    points: Sequence[tuple[float, float]], step_s: float
) -> tuple[list[float], list[float], list[int]]:
    """Times and values of a line that breaks where samples are missing or are no numbers, and the places of points without a
    neighbour, which a line alone would not show.
    """
    at: list[float] = []
    values: list[float] = []
    for second, value in points:
        if at and second - at[-1] > 1.5 * step_s:
            at.append((at[-1] + second) / 2)
            values.append(math.nan)
        at.append(second)
        values.append(value if math.isfinite(value) else math.nan)
    empty = [True, *(math.isnan(value) for value in values), True]
    alone = [
        place for place in range(len(values)) if empty[place] and not empty[place + 1] and empty[place + 2]
    ]
    return at, values, alone


def _named(answers: Answers) -> tuple[list[tuple[str, Series]], int]:
    """Every series with its name; where there are many, the largest ones, and how many are left out."""
    found = [(abbreviated(series.name(legend)), series) for legend, all_of in answers for series in all_of]
    if len(found) <= LINES_MAX:
        return found, 0
    return sorted(found, key=lambda one: -_peak(one[1]))[:LINES_MAX], len(found) - LINES_MAX


def _peak(series: Series) -> float:
    """The largest value of a series that is a number."""
    return max((value for _, value in series.points if not math.isnan(value)), default=0.0)


def _cut(text: str, most: int) -> str:
    """A text of at most so many characters: a long one without its middle, since names differ at their beginning or their end."""
    if len(text) <= most:
        return text
    before = (most - 1) // 2
    return f"{text[:before]}…{text[before + 1 - most :]}"


def _more(left_out: int) -> str:
    return f"and {left_out} more"


def _lines(axes: Axes, panel: Panel, answers: Answers, watch: Watch | None, window: Window) -> None:
    found, left_out = _named(answers)
    for colour, (name, series) in zip(PALETTE, found, strict=False):
        at, values, alone = with_gaps(series.points, window.step_s)
        axes.plot(at, values, color=colour, linewidth=1.6, label=_cut(name, NAME_MAX))
        axes.scatter([at[place] for place in alone], [values[place] for place in alone], color=colour, s=6)
    numbers = [value for _, series in found for _, value in series.points if math.isfinite(value)]
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    _axis_of_time(axes, window)
    more = [_entry(_more(left_out))] if left_out else []
    if not numbers:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no values", ha="center", color=_GREY, transform=axes.transAxes)
    else:
        more += _axis_of_values(axes, panel, numbers, None if watch is None else watch.threshold_of(panel))
    known = axes.get_legend_handles_labels()[0]
    axes.legend(
        handles=[*known[: len(found)], *more, *known[len(found) :]],
        title=AXES[panel.unit],
        title_fontproperties={"size": 8},
        alignment="left",
        handlelength=1.4,
        fontsize=7,
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0.0,
        frameon=False,
    )


def _entry(text: str) -> Line2D:
    """A line of text in a legend."""
    return Line2D([], [], linestyle="none", label=text)


def _axis_of_time(axes: Axes, window: Window) -> None:
    at, form = window.ticks
    axes.set_xlim(window.start_s, window.end_s)
    axes.set_xticks(at, [f"{datetime.fromtimestamp(one, UTC):{form}}" for one in at])
    axes.grid(visible=True, color="#e5e5e5")


def _axis_of_values(
    axes: Axes, panel: Panel, numbers: Sequence[float], threshold: float | None
) -> list[Line2D]:
    """Set the limits and marks of the values, and draw the threshold. Returns what the legend says besides.

    Where all values are 0, only 0 is marked: another number would say that values of that size were seen.
    """
    low, high = min(0.0, *numbers), max(0.0, *numbers)
    whole = panel.unit in (Unit.YES_NO, Unit.STATE, Unit.COUNT)
    said: list[Line2D] = []
    if threshold is not None:
        word = _alerted(panel, threshold)
        if panel.unit is Unit.YES_NO:
            threshold = _fires(panel)
        if panel.unit is Unit.YES_NO or abs(threshold) <= _FAR * (max(high, -low) or 1.0):
            axes.axhline(threshold, color=_RED, linestyle="--", linewidth=1.2, label=word)
            low, high = min(low, threshold), max(high, threshold)
        else:
            said.append(_entry(f"{word} (not drawn)"))
    if panel.unit is Unit.YES_NO:
        high = max(high, 1.0)
        axes.set_yticks([0.0, 1.0])
    elif low == high:
        axes.set_yticks([0.0])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=whole))
    height = (high - low) or 1.0
    axes.set_ylim(low - _FOOT * height, low + height * _HEADROOM)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: worded(value, panel.unit, panel.names)))
    return said


def _alerted(panel: Panel, threshold: float) -> str:
    """When the alert fires: beyond the threshold, never at it. Of yes and no only one is beyond it."""
    if panel.unit is Unit.YES_NO:
        return f"alert at {worded(_fires(panel), panel.unit)}"
    return f"alert {'below' if panel.least else 'above'} {worded(threshold, panel.unit)}"


def _fires(panel: Panel) -> float:
    """The value of a panel of yes or no at which its alert fires."""
    return 0.0 if panel.least else 1.0


def _numbers(axes: Axes, panel: Panel, answers: Answers, watch: Watch | None) -> None:
    axes.axis("off")
    found, left_out = _named(answers)
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
            across, 0.08, _cut(name, 24), ha="center", fontsize=8, color=_GREY, transform=axes.transAxes
        )
    _note(axes, left_out)


def _is_bad(value: float, threshold: float, panel: Panel) -> bool:
    return value < threshold if panel.least else value > threshold


def _bars(axes: Axes, panel: Panel, answers: Answers) -> None:
    found, left_out = _named(answers)
    values = [0.0 if math.isnan(series.value) else series.value for _, series in found]
    axes.barh(range(len(found)), values, color=PALETTE[0], height=0.6)
    axes.set_yticks(range(len(found)), [_cut(name, NAME_MAX) for name, _ in found], fontsize=7)
    axes.invert_yaxis()
    right = 1.0 if panel.kind is Kind.GAUGE else max([*values, 1e-9])
    axes.set_xlim(0, right * 1.25)
    axes.xaxis.set_major_locator(FixedLocator([]))
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    for place, (_, series) in enumerate(found):
        axes.text(
            values[place] + right * 0.02, place, worded(series.value, panel.unit), va="center", fontsize=9
        )
    if len(found) < 4:
        axes.set_ylim(3.5, -0.7)
    _note(axes, left_out)


def _table(axes: Axes, panel: Panel, answers: Answers) -> None:
    axes.axis("off")
    labels, rows = merged(answers)
    legends = [legend for legend, _ in answers]
    cells = [
        [
            *(_cut(abbreviated(keys.get(label, "")), 34) for label in labels),
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
    _note(axes, len(rows) - LINES_MAX)


def _note(axes: Axes, left_out: int) -> None:
    """Say below a panel how much is not shown."""
    if left_out > 0:
        axes.text(0.0, -0.04, _more(left_out), fontsize=8, color=_GREY, transform=axes.transAxes, va="top")
