"""The dashboards without a running stack: every panel is complete, and every query is valid."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from prizewire_devstack.components import debian
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.monitoring import expressions, grafana
from prizewire_devstack.monitoring.dashboards import DASHBOARDS
from prizewire_devstack.monitoring.panels import (
    EVERYTHING,
    WIDTH,
    Dashboard,
    Kind,
    Panel,
    Query,
    Row,
    Threshold,
    Unit,
    Variable,
    Watch,
    chosen,
)

PANELS = [
    pytest.param(panel, id=f"{dashboard.name}-{re.sub(r'[^a-z0-9]+', '-', panel.title.lower())}")
    for dashboard in DASHBOARDS
    for panel in dashboard.panels()
]
BOARDS = [pytest.param(dashboard, id=dashboard.name) for dashboard in DASHBOARDS]
RUNBOOKS = "https://runbooks.example"


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_is_complete(panel: Panel) -> None:
    """Each has a title, a query with a legend, and sentences about what it shows, what is normal and what to do."""
    assert panel.title
    assert panel.queries
    assert all(query.legend for query in panel.queries)
    assert all(text.endswith(".") and len(text) >= 8 for text in (panel.shows, panel.normal, panel.act))
    assert 0 < panel.columns <= WIDTH
    assert (panel.unit is Unit.STATE) == (panel.names is not None)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_hides_no_missing_series(panel: Panel) -> None:
    """No query answers with a made-up number where there is no series. What a new series rose by is no such number."""
    for query in panel.queries:
        given = re.sub(
            r"(last_over_time\((\S+)\[(\w+)\]\)) unless resets\(\2\[\3\]\) > 0 unless (last_over_time\(\2\[5m\] offset \3\))\) or "
            r"\(\1 \+ (increase\(\2\[\3\]\)) - delta\(\2\[\3\]\) unless \4\) or \5",
            "",
            query.expr,
        )
        assert not re.search(r"\b(vector|absent|absent_over_time|or)\b", given), query.expr


@pytest.mark.parametrize("panel", PANELS)
def test_a_legend_has_labels_that_the_answer_keeps(panel: Panel) -> None:
    """Two series of a query never have the same name: each label of the outermost grouping is in the legend, and no other."""
    if panel.kind is Kind.TABLE:
        return
    for query in panel.queries:
        kept = set(re.findall(r"[a-z_]+", grouping(query.expr))) - {"le"}
        assert set(re.findall(r"\{\{([a-z_]+)\}\}", query.legend)) == kept, query.expr


@pytest.mark.parametrize("panel", PANELS)
def test_a_quantile_or_an_average_is_called_so(panel: Panel) -> None:
    """The title or the legend says which, so that nobody takes it for a sum or for the largest value."""
    for query in panel.queries:
        called = f"{panel.title} {query.legend}".lower()
        for word, expr in (
            ("median", r"histogram_quantile\(0\.5,"),
            ("95th percentile", r"histogram_quantile\(0\.95,"),
            ("average", r"_sum\b.*/.*_count\b"),
        ):
            assert word in called or not re.search(expr, query.expr), f"{panel.title}: {query.legend}"
        known = re.search(r"histogram_quantile\(0\.(5|95),", query.expr)
        assert known or "histogram_quantile" not in query.expr, f"{panel.title}: a share without a word"


@pytest.mark.parametrize("panel", PANELS)
def test_money_is_in_units_of_the_asset(panel: Panel) -> None:
    """No panel shows minor units beside the units of others."""
    assert all("minor" not in name for query in panel.queries for name in query.metrics)
    assert "minor unit" not in f"{panel.title} {panel.description}"


def grouping(expr: str) -> str:
    """The labels of the outermost grouping of an expression; those of a quantile have `le` besides."""
    bare = re.sub(r"^(topk\(\d+, |histogram_quantile\([\d.]+, |time\(\) - )+", "", expr)
    found = re.match(r"\w+ by \(([^)]*)\)", bare)
    return "" if found is None else found.group(1)


@pytest.mark.parametrize("dashboard", BOARDS)
def test_titles_of_a_dashboard_differ(dashboard: Dashboard) -> None:
    """A person can name a panel."""
    titles = Counter(panel.title for panel in dashboard.panels())
    assert [title for title, times in titles.items() if times > 1] == []


@pytest.mark.parametrize("dashboard", BOARDS)
def test_variables_are_used_and_known(dashboard: Dashboard) -> None:
    """Each variable changes a query, and each query names only variables of its dashboard."""
    used = {
        name
        for panel in dashboard.panels()
        for query in panel.queries
        for name in re.findall(r"\$([a-z]+)", query.expr)
    }
    assert used == {variable.name for variable in dashboard.variables}


def test_every_query_is_valid(tmp_path: Path) -> None:
    """Prometheus' own parser takes each of them."""
    file = tmp_path / "queries.yaml"
    assert parsed(file, [query.expr for panel in all_panels() for query in panel.queries]) == ""


def test_an_invalid_query_is_found(tmp_path: Path) -> None:
    """The test before this one can fail."""
    assert "parse error" in parsed(tmp_path / "queries.yaml", ["sum by (rail (up)"])


@pytest.mark.parametrize(("written", "age"), [(0, None), (100, 200)], ids=["without-a-list", "with-a-list"])
def test_no_list_has_no_age(written: int, age: int | None, tmp_path: Path) -> None:
    """Where no deny list is configured the metric is 0, and the panel draws nothing: not the time since 1970."""
    [query] = [
        query
        for panel in all_panels()
        for query in panel.queries
        if "prizewire_deny_list_written_timestamp_seconds" in query.metrics
    ]
    samples = [] if age is None else [{"labels": "{}", "value": age}]
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {
                        "series": 'prizewire_deny_list_written_timestamp_seconds{service="payouts"}',
                        "values": f"{written}x10",
                    }
                ],
                "promql_expr_test": [{"expr": query.expr, "eval_time": "5m", "exp_samples": samples}],
            }
        ],
    }
    assert promtool(tmp_path / "test.yaml", test, "test", "rules") == ""


RISEN: dict[str, tuple[dict[str, str], float]] = {
    "new": ({"a": "_x10 5 6 7 7x20"}, 7),
    "new, and its process began again": ({"a": "_x10 5x10 1x10"}, 6),
    "new, and its process began again twice": ({"a": "_x10 5x10 _ 3x4 2x4"}, 10),
    "new, and its process ended": ({"a": "_x10 4x5 _x15"}, 4),
    "new in two processes": ({"a": "_x10 4x20", "b": "_x12 3x18"}, 7),
    "as old as the window": ({"a": "2x10 4x20"}, 2),
    "as old as the window, and its process began again": ({"a": "2x10 4x10 1x9"}, 3),
}
"""Values of a counter at each minute by the name of its process, and by how much all of them rose in the last half hour."""


@pytest.mark.parametrize("case", RISEN)
def test_a_counter_that_appears_counts_every_event(case: str, tmp_path: Path) -> None:
    """Also those before a restart of its process, within what Prometheus extrapolates."""
    series, rose = RISEN[case]
    metric = "prizewire_payouts_ended_total"
    expr = f"round({expressions.risen(metric, 'rail', within='30m')})"
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": f'{metric}{{rail="fake",instance="{name}"}}', "values": values}
                    for name, values in series.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": expr,
                        "eval_time": "30m",
                        "exp_samples": [{"labels": '{rail="fake"}', "value": rose}],
                    }
                ],
            }
        ],
    }
    assert promtool(tmp_path / "test.yaml", test, "test", "rules") == ""


def test_a_returned_payout_is_paid_and_ended_once(tmp_path: Path) -> None:
    """Three of four payouts were paid, of which one came back: it was counted under both states."""
    [query] = [
        query for panel in all_panels() if panel.title == "Success over 24 h" for query in panel.queries
    ]
    ends = {"paid": 3, "returned": 1, "failed": 1}
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {
                        "series": f'prizewire_payouts_ended_total{{rail="fake",state="{state}"}}',
                        "values": f"_x5 {count}x10",
                    }
                    for state, count in ends.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": chosen(query.expr),
                        "eval_time": "10m",
                        "exp_samples": [{"labels": '{rail="fake"}', "value": 0.75}],
                    }
                ],
            }
        ],
    }
    assert promtool(tmp_path / "test.yaml", test, "test", "rules") == ""


def all_panels() -> list[Panel]:
    return [panel for dashboard in DASHBOARDS for panel in dashboard.panels()]


def parsed(file: Path, queries: list[str]) -> str:
    """What promtool says about the queries; nothing if all are valid. They are checked as recording rules."""
    rules = [{"record": f"panel:query:{number}", "expr": chosen(expr)} for number, expr in enumerate(queries)]
    return promtool(file, {"groups": [{"name": "panels", "rules": rules}]}, "check", "rules")


def promtool(file: Path, document: Any, *command: str) -> str:
    """What promtool says about a document; nothing if it is content."""
    try:
        program = debian.program("promtool")
    except DevstackError as error:
        pytest.skip(f"promtool is not here: {error}")
    file.write_text(yaml.safe_dump(document))
    done = subprocess.run(
        (str(program), *command, str(file)), capture_output=True, text=True, timeout=60, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def made(panel: Panel, watches: Mapping[str, Watch]) -> Any:
    """A panel in Grafana's JSON."""
    board = Dashboard(
        uid="prizewire-one", title="One", description="One.", rows=(Row(title="Row", panels=(panel,)),)
    )
    return json.loads(grafana.render(board, watches, runbooks=RUNBOOKS))["panels"][1]


def panel_of(kind: Kind, **more: Any) -> Panel:
    given = {
        "title": "Lag",
        "shows": "It shows.",
        "normal": "It is 0.",
        "act": "Look.",
        "unit": Unit.SECONDS,
        "queries": (Query(expr='max by (rail) (up{rail=~"$rail"})', legend="{{rail}}"),),
    }
    return Panel(**{**given, "kind": kind, **more})


@pytest.mark.parametrize(("of", "label"), [(None, "rail"), ("name", "name")], ids=["its-own", "another"])
def test_a_choice_offers_the_values_of_its_label(of: str | None, label: str) -> None:
    """A variable asks for the label of its own name, unless it names another."""
    variable = Variable(name="rail", label="Rail", metric="up", of=of)
    board = Dashboard(uid="prizewire-one", title="One", description="One.", rows=(), variables=(variable,))
    document = json.loads(grafana.render(board, {}, runbooks=RUNBOOKS))
    [found] = [one for one in document["templating"]["list"] if one["type"] == "query"]
    assert (found["name"], found["query"]["query"]) == ("rail", f"label_values(up, {label})")


def test_a_watched_panel_shows_the_threshold_of_its_alert() -> None:
    """The value of the rule divides good from bad, is drawn as a line, and the panel links the runbook."""
    watch = Watch(
        thresholds=(Threshold(value=5), Threshold(value=30, is_time=True)),
        runbook=f"{RUNBOOKS}/PrizewireConsumerLag.md",
    )
    panel = made(panel_of(Kind.TIMESERIES, alert="PrizewireConsumerLag"), {"PrizewireConsumerLag": watch})
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [(step["value"], step["color"]) for step in steps] == [(None, "green"), (30, "red")]
    assert panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] == "dashed"
    assert [link["url"] for link in panel["links"]] == [f"{RUNBOOKS}/PrizewireConsumerLag.md"]
    assert panel["description"] == f"It shows. It is 0. Look. Runbook: {watch.runbook}"
    assert panel["fieldConfig"]["defaults"]["unit"] == "s"


def test_lines_in_grafana_break_and_have_their_legend_beside_them() -> None:
    """As in the pictures: no line across a gap, and axes of time of the same width."""
    panel = made(panel_of(Kind.TIMESERIES), {})
    custom = panel["fieldConfig"]["defaults"]["custom"]
    assert custom["spanNulls"] is False
    assert custom["axisSoftMin"] == 0
    assert panel["fieldConfig"]["defaults"]["color"]["mode"] == "palette-classic"
    legend = panel["options"]["legend"]
    assert (legend["placement"], legend["showLegend"], legend["width"] > 0) == ("right", True, True)


def test_a_yes_or_no_in_grafana_has_both_at_its_axis() -> None:
    """A line at 0 is not in the middle of an axis."""
    given = made(panel_of(Kind.TIMESERIES, unit=Unit.YES_NO), {})["fieldConfig"]["defaults"]
    assert (given["min"], given["max"]) == (0, 1)


def test_a_threshold_in_another_unit_is_not_drawn() -> None:
    """A number of seconds says nothing about a count, and a path is no link."""
    watch = Watch(thresholds=(Threshold(value=30, is_time=True),), runbook="docs/runbooks/A.md")
    panel = made(panel_of(Kind.TIMESERIES, unit=Unit.COUNT, alert="A"), {"A": watch})
    assert len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) == 1
    assert not panel.get("links")
    assert panel["description"].endswith("Runbook: docs/runbooks/A.md")


def test_zero_is_good_where_the_alert_fires_above_it() -> None:
    """Grafana's steps include their value, an alert does not."""
    watch = Watch(thresholds=(Threshold(value=0),), runbook="docs/runbooks/A.md")
    panel = made(panel_of(Kind.STAT, unit=Unit.COUNT, alert="A"), {"A": watch})
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] > 0


def test_a_least_value_is_bad_below() -> None:
    """Where the alert fires below its threshold, the colours change sides."""
    watch = Watch(thresholds=(Threshold(value=1, is_time=True),), runbook=RUNBOOKS)
    panel = made(panel_of(Kind.STAT, alert="A", least=True), {"A": watch})
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [(step["value"], step["color"]) for step in steps] == [(None, "red"), (1, "green")]


def test_a_table_has_a_column_for_each_query() -> None:
    """Its queries are asked about now, and their values are named by the legends."""
    queries = (Query(expr="up", legend="has"), Query(expr="up", legend="needs"))
    panel = made(panel_of(Kind.TABLE, queries=queries), {})
    assert [(one["instant"], one["format"]) for one in panel["targets"]] == [(True, "table")] * 2
    assert [one["id"] for one in panel["transformations"]] == ["merge", "organize"]
    assert panel["transformations"][1]["options"]["renameByName"] == {"Value #A": "has", "Value #B": "needs"}


@pytest.mark.parametrize("dashboard", BOARDS)
def test_a_dashboard_is_rendered_alike_each_time(dashboard: Dashboard) -> None:
    """The text is stable, its panels do not overlap, and each refers to the chosen data source."""
    text = grafana.render(dashboard, {}, runbooks=RUNBOOKS)
    assert text == grafana.render(dashboard, {}, runbooks=RUNBOOKS)
    document = json.loads(text)
    cells = [
        (x, y)
        for panel in document["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < WIDTH
    drawn = [panel for panel in document["panels"] if panel["type"] != "row"]
    assert len(drawn) == len(list(dashboard.panels()))
    assert {panel["datasource"]["uid"] for panel in drawn} == {"${datasource}"}
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])


def test_a_choice_replaces_a_variable() -> None:
    """Without a choice, a variable selects every series."""
    expr = 'up{rail=~"$rail"}'
    assert chosen(expr) == f'up{{rail=~"{EVERYTHING}"}}'
    assert chosen(expr, {"rail": "fake"}) == 'up{rail=~"fake"}'


def test_a_query_names_its_metrics() -> None:
    """The series of a histogram count as the histogram."""
    query = Query(
        expr="sum(rate(prizewire_a_seconds_bucket[5m])) / count(up) + prizewire_b_count", legend="x"
    )
    assert query.metrics == {"prizewire_a_seconds", "up", "prizewire_b"}
