"""Dashboards as Grafana's JSON, by its own SDK. Only this module imports the SDK (the extra ``drawing``).

The SDK writes the form of Grafana 10.1; Grafana 12 reads it, and changes it to its own form when a dashboard is loaded.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    gauge,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as drawn
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from prizewire_devstack.monitoring.dashboards import DASHBOARDS
from prizewire_devstack.monitoring.panels import (
    EVERYTHING,
    Dashboard,
    Kind,
    Panel,
    Query,
    Unit,
    Variable,
    Watch,
)

TAG: Final = "prizewire"
READABLE: Final = 0o644
READABLE_DIRECTORY: Final = 0o755
SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The data source that a reader of the dashboard chooses; the first one of Prometheus unless they do."""
GOOD: Final = "green"
BAD: Final = "red"
JUST_ABOVE_ZERO: Final = 1e-9
LEGEND_PIXELS: Final = 240
"""The width of each legend, which is beside the lines: the axes of time of panels below each other are equal."""
NO_VALUES: Final = "no values"
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_Builder = bargauge.Panel | gauge.Panel | stat.Panel | table.Panel | timeseries.Panel


def files(watches: Mapping[str, Watch], *, runbooks: str) -> dict[str, str]:
    """The JSON of every dashboard, by the name of its file. ``watches`` has the alert rules by name, and ``runbooks`` is the address
    below which runbooks are, or their folder in the repository.
    """
    return {f"{one.name}.json": render(one, watches, runbooks=runbooks) for one in DASHBOARDS}


def write(directory: Path, watches: Mapping[str, Watch], *, runbooks: str) -> list[str]:
    """Write every dashboard; returns the names of the files that changed."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(READABLE_DIRECTORY)
    changed = []
    for name, text in files(watches, runbooks=runbooks).items():
        path = directory / name
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
            # Grafana reads the files as another user; a command's own files are private.
            path.chmod(READABLE)
            changed.append(name)
    return changed


def render(one: Dashboard, watches: Mapping[str, Watch], *, runbooks: str) -> str:
    """The JSON of one dashboard. The same dashboard always gives the same text."""
    made = (
        dashboard.Dashboard(one.title)
        .uid(one.uid)
        .description(one.description)
        .tags([TAG])
        .readonly()
        .timezone("utc")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .refresh("30s")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for variable in one.variables:
        made = made.with_variable(_variable(variable))
    made = made.link(
        dashboard.DashboardLink("Dashboards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .keep_time(True)
    )
    for procedure in one.procedures if _is_address(runbooks) else ():
        made = made.link(_link(f"Runbook: {procedure}", f"{runbooks}/{procedure}.md"))
    numbers = count(1)
    for row in one.rows:
        made = made.with_row(dashboard.Row(row.title).id(next(numbers)))
        for panel in row.panels:
            made = made.with_panel(_panel(panel, watches.get(panel.alert or "")).id(next(numbers)))
    found: Any = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _variable(variable: Variable) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(SOURCE)
        .query(
            {
                "query": f"label_values({variable.metric}, {variable.of or variable.name})",
                "refId": variable.name,
            }
        )
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(EVERYTHING)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _is_address(place: str) -> bool:
    """Whether a browser can follow it; a path in the repository stands in the description."""
    return "://" in place


def _description(panel: Panel, watch: Watch | None) -> str:
    return panel.description if watch is None else f"{panel.description} Runbook: {watch.runbook}"


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .icon("doc")
        .url(url)
        .target_blank(True)
    )


def _panel(panel: Panel, watch: Watch | None) -> _Builder:
    made = _empty(panel, watch)
    made = (
        made.title(panel.title)
        .description(_description(panel, watch))
        .datasource(SOURCE)
        .unit(str(panel.unit))
        .span(panel.columns)
        .height(panel.rows)
        .thresholds(_thresholds(panel, watch))
    )
    if panel.unit is Unit.SHARE:
        made = made.min(0)
    if panel.unit is Unit.YES_NO:
        made = made.min(0).max(1)
    if panel.names:
        words = {
            str(number): models.ValueMappingResult(text=word, index=place)
            for place, (number, word) in enumerate(panel.names.items())
        }
        made = made.mappings([models.ValueMap(options=words)])
    if watch is not None and _is_address(watch.runbook):
        made = made.links([_link(f"Runbook: {panel.alert}", watch.runbook)])
    for letter, query in zip(_LETTERS, panel.queries, strict=False):
        made = made.with_target(_target(query, panel.kind).ref_id(letter))
    return made


def _empty(panel: Panel, watch: Watch | None) -> _Builder:
    """A panel of its kind, without what all kinds have."""
    newest = common.ReduceDataOptions().calcs(["lastNotNull"])
    match panel.kind:
        case Kind.STAT:
            number = stat.Panel().reduce_options(newest).color_mode(drawn.BigValueColorMode.VALUE)
            number = number.graph_mode(drawn.BigValueGraphMode.NONE)
            return number.decimals(0) if panel.unit is Unit.COUNT else number
        case Kind.GAUGE:
            return gauge.Panel().reduce_options(newest).max(1)
        case Kind.BAR:
            return (
                bargauge.Panel()
                .reduce_options(newest)
                .orientation(drawn.VizOrientation.HORIZONTAL)
                .display_mode(drawn.BarGaugeDisplayMode.BASIC)
            )
        case Kind.TABLE:
            return _columns(table.Panel().show_header(True), panel.queries)
        case Kind.TIMESERIES:
            legend = common.VizLegendOptions().display_mode(drawn.LegendDisplayMode.LIST).show_legend(True)
            lines = (
                timeseries.Panel().line_width(2).fill_opacity(0).span_nulls(span_nulls=False).axis_soft_min(0)
            )
            lines = lines.color_scheme(
                dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC)
            ).no_value(NO_VALUES)
            lines = lines.legend(legend.placement(drawn.LegendPlacement.RIGHT).width(LEGEND_PIXELS))
            if watch is None or watch.threshold_of(panel) is None:
                return lines
            return lines.thresholds_style(
                common.GraphThresholdsStyleConfig().mode(drawn.GraphTresholdsStyleMode.DASHED)
            )


def _columns(made: table.Panel, queries: Sequence[Query]) -> table.Panel:
    """One row for each set of labels, and one column for each query under its legend."""
    named = {
        f"Value #{letter}" if len(queries) > 1 else "Value": query.legend
        for letter, query in zip(_LETTERS, queries, strict=False)
    }
    return made.with_transformation(
        models.DataTransformerConfig(id_val="merge", options={})
    ).with_transformation(
        models.DataTransformerConfig(
            id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": named}
        )
    )


def _target(query: Query, kind: Kind) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).datasource(SOURCE)
    if kind is Kind.TIMESERIES:
        return made.range()
    return made.instant().format(PromQueryFormat.TABLE if kind is Kind.TABLE else PromQueryFormat.TIME_SERIES)


def _thresholds(panel: Panel, watch: Watch | None) -> dashboard.ThresholdsConfig:
    """Good and bad values; all are good where no number divides them."""
    made = dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE)
    threshold = None if watch is None else watch.threshold_of(panel)
    if threshold is None:
        return made.steps([models.Threshold(value=None, color=GOOD)])
    if panel.least:
        return made.steps(
            [models.Threshold(value=None, color=BAD), models.Threshold(value=threshold, color=GOOD)]
        )
    # A step holds from its value on, and an alert fires above it only.
    above = threshold or JUST_ABOVE_ZERO
    return made.steps([models.Threshold(value=None, color=GOOD), models.Threshold(value=above, color=BAD)])
