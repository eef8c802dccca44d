"""Panels as pictures: lines break, legends stand beside them, and all panels have the same axis of time."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from prizewire_devstack.monitoring import pictures
from prizewire_devstack.monitoring.charts import (
    LINES_MAX,
    NAME_MAX,
    PALETTE,
    POINTS,
    TICKS_MAX,
    Window,
    draw,
    with_gaps,
)
from prizewire_devstack.monitoring.dashboards import DASHBOARDS
from prizewire_devstack.monitoring.panels import (
    WIDTH,
    Dashboard,
    Kind,
    Panel,
    Query,
    Row,
    Threshold,
    Unit,
    Watch,
)
from prizewire_devstack.monitoring.query import Prometheus, Series
from prizewire_devstack.monitoring.words import worded

START_S = 1_700_000_000.0
WINDOW = Window(start_s=START_S, end_s=START_S + POINTS)
ALERT_RED = "#c4162a"
GOOD = "#1b7837"


def panel_of(**more: Any) -> Panel:
    given = {
        "title": "Lag",
        "shows": "It shows.",
        "normal": "It is 0.",
        "act": "Look.",
        "unit": Unit.SECONDS,
        "kind": Kind.TIMESERIES,
        "queries": (Query(expr="up", legend="{{name}}"),),
    }
    return Panel(**{**given, **more})


def series(name: str, points: Sequence[tuple[float, float]]) -> Series:
    """A series with points at seconds after the start of the window."""
    return Series(labels={"name": name}, points=tuple((START_S + at, value) for at, value in points))


def drawn(found: Sequence[Series], panel: Panel | None = None, watch: Watch | None = None) -> Axes:
    axes = Figure(figsize=(6, 3)).add_axes((0.1, 0.1, 0.5, 0.7))
    draw(axes, panel or panel_of(), [("{{name}}", found)], watch=watch, window=WINDOW)
    return axes


def many(count: int) -> list[Series]:
    return [series(f"line {number}", [(0, number), (1, number)]) for number in range(count)]


def words(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def heights(line: Line2D) -> list[float]:
    found: Any = line.get_ydata()
    return [float(value) for value in found]


def numbers_at(axes: Axes) -> list[float]:
    """The values that are marked at the axis."""
    low, high = axes.get_ylim()
    return [float(one) for one in axes.get_yticks() if low <= one <= high]


def test_a_line_breaks_where_samples_are_missing() -> None:
    """Between the last sample before a gap and the first one after it, there is no line."""
    at, values, alone = with_gaps([(0, 1), (1, 1), (2, 1), (7, 1), (8, 1)], 1.0)
    assert [place for place, value in enumerate(values) if math.isnan(value)] == [3]
    assert at[2] < at[3] < at[4]
    assert alone == []


def test_a_line_breaks_at_values_that_are_no_numbers() -> None:
    """A share of nothing is no number, and an unlimited value has no place on an axis."""
    _, values, _ = with_gaps([(0, 1), (1, math.nan), (2, 1), (3, math.inf), (4, 1)], 1.0)
    assert [math.isnan(value) for value in values] == [False, True, False, True, False]


def test_a_sample_between_two_gaps_is_seen() -> None:
    """It has no line, so it is a point."""
    at, _, alone = with_gaps([(0, 1), (5, 1), (10, 1), (11, 1)], 1.0)
    assert [at[place] for place in alone] == [0, 5]
    axes = drawn([series("one", [(0, 1), (5, 1), (10, 1), (11, 1)])])
    assert [np.asarray(points.get_offsets()).shape for points in axes.collections] == [(2, 2)]


def test_a_drawn_line_has_the_gap() -> None:
    """The panel draws the broken line, at the step of the window."""
    [line] = drawn([series("one", [(0, 1), (1, 1), (9, 1), (10, 1)])]).lines
    assert sum(math.isnan(value) for value in heights(line)) == 1


def test_a_legend_covers_no_line() -> None:
    """It is right of the axes, also with all its lines."""
    axes = drawn(
        many(LINES_MAX + 3), watch=Watch(thresholds=(Threshold(value=3, is_time=True),), runbook="x")
    )
    figure: Any = axes.figure
    figure.canvas.draw()
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().x0 >= axes.get_window_extent().x1


def placed(panel: Panel, found: Sequence[Series]) -> tuple[Axes, pictures.Place, float]:
    """A panel as a picture of it alone has it: its axes, its place, and the height of the picture in inches."""
    board = Dashboard(
        uid="prizewire-x", title="X", description="X.", rows=(Row(title="Row", panels=(panel, panel)),)
    )
    place = pictures.places(board)[-1]
    height = place.top + place.tall
    figure = Figure(figsize=(WIDTH * pictures.COLUMN_INCHES, height), dpi=pictures.DPI)
    canvas: Any = FigureCanvasAgg(figure)
    axes = figure.add_axes(place.axes_in(height, panel.kind))
    draw(axes, panel, [("{{name}}", found)], watch=None, window=WINDOW)
    canvas.draw()
    return axes, place, height


@pytest.mark.parametrize("kind", [Kind.BAR, Kind.GAUGE])
def test_the_names_of_bars_are_inside_their_panel(kind: Kind) -> None:
    """A long name is cut in the middle, and not at the edge."""
    found = [series(f"settlement {letter * 60}", [(0, 1)]) for letter in "anw"]
    axes, place, _ = placed(panel_of(kind=kind), found)
    names = [label for label in axes.get_yticklabels() if label.get_text()]
    assert len(names) == 3
    for name in names[:2]:
        assert name.get_window_extent().x0 >= place.left * pictures.DPI


@pytest.mark.parametrize("kind", [Kind.BAR, Kind.GAUGE, Kind.STAT, Kind.TABLE])
@pytest.mark.parametrize("rows", [4, 8])
def test_what_is_left_out_is_said_inside_the_panel(kind: Kind, rows: int) -> None:
    """It does not touch the heading below."""
    axes, place, height = placed(panel_of(kind=kind, rows=rows), many(LINES_MAX + 9))
    [note] = [text for text in axes.texts if text.get_text() == "and 9 more"]
    bottom = (height - place.top - place.tall) * pictures.DPI
    assert note.get_window_extent().y0 >= bottom + 2
    if kind is Kind.TABLE and rows == 8:
        [table] = axes.tables
        assert note.get_window_extent().y1 <= table.get_window_extent().y0


def test_a_long_legend_is_inside_its_panel() -> None:
    """A long name, cut in the middle, ends before the edge of the picture."""
    panel = panel_of(unit=Unit.MONEY)
    long = [series("webhooks webhooks.provider-webhooks unconcerned", [(0, 1), (1, 2)])]
    axes, place, _ = placed(panel, long)
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().x1 <= (place.left + place.wide) * pictures.DPI


def test_names_that_differ_at_their_end_stay_different() -> None:
    """A long name loses its middle."""
    found = [series(f"payouts payouts.provider-webhooks {end}", [(0, 1)]) for end in ("applied", "parked")]
    shown = words(drawn(found))
    assert len(set(shown)) == 2
    assert all(len(word) == NAME_MAX and word.startswith("payouts ") for word in shown)


def test_what_a_panel_leaves_out_is_said() -> None:
    """The largest lines are shown, and the number of the others."""
    found = words(drawn(many(LINES_MAX + 3)))
    assert found[-1] == "and 3 more"
    assert found[:-1] == [f"line {number}" for number in range(LINES_MAX + 2, 2, -1)]
    assert not any("more" in word for word in words(drawn(many(LINES_MAX))))


@pytest.mark.parametrize("kind", [Kind.BAR, Kind.STAT, Kind.TABLE])
def test_what_other_panels_leave_out_is_said(kind: Kind) -> None:
    """Bars, numbers and rows of a table are cut alike."""
    axes = drawn(many(LINES_MAX + 2), panel_of(kind=kind))
    said = [text.get_text() for text in axes.texts]
    assert "and 2 more" in said
    shown = {
        Kind.BAR: len(axes.patches),
        Kind.STAT: sum(word.startswith("line ") for word in said),
        Kind.TABLE: max((row for table in axes.tables for row, _ in table.get_celld()), default=0),
    }
    assert shown[kind] == LINES_MAX


def test_no_colour_is_used_twice_and_none_is_that_of_alerts() -> None:
    """Each line of a panel differs from the others."""
    axes = drawn(many(LINES_MAX + 3))
    colours = [line.get_color() for line in axes.lines]
    assert len(set(colours)) == len(colours) == LINES_MAX
    assert ALERT_RED not in colours


def test_the_file_keeps_the_colours_apart(tmp_path: Path) -> None:
    """The picture has few colours; those of lines are among them."""
    figure = Figure(figsize=(6, 3), dpi=62, facecolor="white")
    axes = figure.add_axes((0.1, 0.1, 0.5, 0.7))
    found = [series(str(number), [(at, number) for at in range(POINTS)]) for number in range(LINES_MAX)]
    draw(axes, panel_of(), [("{{name}}", found)], watch=None, window=WINDOW)
    pictures.save(figure, tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as image:
        listed = image.convert("RGB").getcolors(maxcolors=pictures.COLOURS) or []
    kept = [colour for _, colour in listed]
    nearest = [nearest_of(kept, rgb(wanted)) for wanted in PALETTE]
    assert len(set(nearest)) == len(PALETTE)
    assert all(distance(one, rgb(wanted)) < 30 for one, wanted in zip(nearest, PALETTE, strict=True))


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(round(part * 255) for part in to_rgb(colour))


def distance(one: Any, other: Any) -> float:
    return math.dist(one, other)


def nearest_of(colours: Sequence[Any], wanted: Any) -> Any:
    return min(colours, key=partial(distance, wanted))


def test_the_axis_of_time_is_that_of_the_window() -> None:
    """It does not depend on the samples, also where there are none."""
    for found in ([series("short", [(50, 1), (51, 2)])], []):
        axes = drawn(found)
        assert axes.get_xlim() == (WINDOW.start_s, WINDOW.end_s)
        assert list(axes.get_xticks()) == WINDOW.ticks[0]


@pytest.mark.parametrize("span_s", [1, 17, 60, 119, 600, 1801, 7200, 86400, 604800])
def test_the_times_of_an_axis_are_few_and_within(span_s: float) -> None:
    """They are whole numbers of their distance."""
    window = Window(start_s=START_S, end_s=START_S + span_s)
    at, _ = window.ticks
    assert 0 < len(at) <= max(TICKS_MAX + 1, span_s // 86400 + 1)
    assert all(window.start_s <= one <= window.end_s for one in at)


def test_values_of_zero_have_no_other_number_at_the_axis() -> None:
    """An axis up to 1 second would say that times of that size were seen. The line at 0 is above the edge."""
    axes = drawn([series("one", [(0, 0), (1, 0)])])
    assert numbers_at(axes) == [0]
    assert axes.get_ylim()[0] < 0


def test_a_panel_without_values_has_no_numbers() -> None:
    """Neither without series, nor where no value is a number."""
    for found in ([], [series("one", [(0, math.nan), (1, math.nan)])]):
        axes = drawn(found)
        assert numbers_at(axes) == []
        assert "no values" in [text.get_text() for text in axes.texts]


def test_a_threshold_near_the_values_is_a_line() -> None:
    """It is red, inside the axis, and named."""
    watch = Watch(thresholds=(Threshold(value=3, is_time=True),), runbook="x")
    axes = drawn([series("one", [(0, 1), (1, 2)])], watch=watch)
    [line] = [line for line in axes.lines if line.get_color() == ALERT_RED]
    assert heights(line) == [3, 3]
    assert axes.get_ylim()[1] > 3
    assert "alert above 3 s" in words(axes)


def test_a_threshold_far_from_the_values_is_named_only() -> None:
    """As a line it would press the values to the edge."""
    watch = Watch(thresholds=(Threshold(value=3600, is_time=True),), runbook="x")
    axes = drawn([series("one", [(0, 1), (1, 2)])], watch=watch)
    assert axes.get_ylim()[1] < 10
    assert "alert above 60.0 min (not drawn)" in words(axes)


@pytest.mark.parametrize("threshold", [0, 1])
@pytest.mark.parametrize(("least", "fires", "word"), [(False, 1, "yes"), (True, 0, "no")])
def test_a_yes_or_no_has_both_at_its_axis(threshold: float, least: bool, fires: float, word: str) -> None:
    """The line of the alert is at the value that fires, which the legend names."""
    watch = Watch(thresholds=(Threshold(value=threshold),), runbook="x")
    axes = drawn([series("one", [(0, 0), (1, 0)])], panel_of(unit=Unit.YES_NO, least=least), watch)
    [line] = [line for line in axes.lines if line.get_color() == ALERT_RED]
    assert heights(line) == [fires, fires]
    assert numbers_at(axes) == [0, 1]
    assert f"alert at {word}" in words(axes)


@pytest.mark.parametrize(
    ("value", "least", "colour"),
    [(4, False, ALERT_RED), (3, False, GOOD), (2, True, ALERT_RED), (3, True, GOOD)],
    ids=["above", "at-most", "below", "at-least"],
)
def test_a_number_that_fires_an_alert_is_red(value: float, least: bool, colour: str) -> None:
    """Beyond the threshold, on the side on which the alert fires."""
    watch = Watch(thresholds=(Threshold(value=3, is_time=True),), runbook="x")
    axes = drawn([series("one", [(0, value)])], panel_of(kind=Kind.STAT, least=least), watch)
    [number] = [text for text in axes.texts if text.get_text() == f"{value} s"]
    assert number.get_color() == colour


@pytest.mark.parametrize("board", [pytest.param(board, id=board.name) for board in DASHBOARDS])
def test_the_panels_of_a_picture_do_not_overlap(board: Dashboard) -> None:
    """Neither with each other nor with a heading, and none is wider than the picture."""
    found = pictures.places(board)
    assert len(found) == len(board.rows) + len(list(board.panels()))
    assert all(one.left + one.wide <= WIDTH * pictures.COLUMN_INCHES + 1e-9 for one in found)
    overlaps = [
        (one, other)
        for one, other in combinations(found, 2)
        if min(one.left + one.wide, other.left + other.wide) - max(one.left, other.left) > 1e-9
        and min(one.top + one.tall, other.top + other.tall) - max(one.top, other.top) > 1e-9
    ]
    assert overlaps == []


class Recorded(Prometheus):
    """A Prometheus that records what it is asked and gives what a test says."""

    def __init__(self, found: Mapping[str, tuple[Series, ...]]) -> None:
        super().__init__("http://127.0.0.1:9")
        self.found = found
        self.asked: list[tuple[str, float, float]] = []

    def between(self, expr: str, *, start_s: float, end_s: float, step_s: float) -> tuple[Series, ...]:
        """The series of the test."""
        del step_s
        self.asked.append((expr, start_s, end_s))
        return self.found.get(expr, ())


def test_all_panels_of_a_picture_are_asked_for_the_same_time(tmp_path: Path) -> None:
    """The picture has the panels of all rows."""
    panels = tuple(panel_of(title=name, queries=(Query(expr=name, legend="x"),)) for name in ("a", "b"))
    board = Dashboard(uid="prizewire-x", title="X", description="X.", rows=(Row(title="Row", panels=panels),))
    asked = Recorded({})
    pictures.draw(asked, board, tmp_path / "x.png", watches={}, start_s=START_S, end_s=START_S + 60)
    assert asked.asked == [("a", START_S, START_S + 60), ("b", START_S, START_S + 60)]
    assert (tmp_path / "x.png").stat().st_size > 0


def test_samples_of_an_earlier_run_are_not_shown() -> None:
    """Pictures begin when each process that still answers has answered in this run."""
    expr = "timestamp(prizewire_build_info)"
    again = Series(labels={"part": "a"}, points=((10, 4), (11, 4), (12, 12), (13, 12)))
    new = Series(labels={"part": "b"}, points=((15, 15),))
    removed = Series(labels={"part": "c"}, points=((10, 4), (14, 4)))
    asked = Recorded({expr: (again, new, removed)})
    assert asked.begin_s(since_s=10, until_s=20, step_s=1) == 12
    assert Recorded({}).begin_s(since_s=10, until_s=20, step_s=1) == 10


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (12.5, "12.50"),
        (0.0, "0.00"),
        (7e-07, "0.0000007"),
        (1234567.8901234, "1,234,567.8901234"),
        (0.1 + 0.2, "0.30"),
        (-0.005, "-0.005"),
        (85_000_000_000.0000008, "85,000,000,000.00"),
    ],
)
def test_a_small_amount_is_not_shown_as_nothing(value: float, word: str) -> None:
    """A pool with the least amount of an asset is not empty."""
    assert worded(value, Unit.MONEY) == word
