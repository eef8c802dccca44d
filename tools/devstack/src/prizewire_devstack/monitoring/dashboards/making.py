"""Short forms of panels that the dashboards share."""

from collections.abc import Mapping

from prizewire_devstack.monitoring.panels import Kind, Panel, Query, Unit


def lines(
    title: str,
    *queries: tuple[str, str],
    shows: str,
    normal: str,
    act: str,
    unit: Unit = Unit.COUNT,
    alert: str | None = None,
    least: bool = False,
    names: Mapping[int, str] | None = None,
) -> Panel:
    """A panel of lines over time; each query is an expression and a legend."""
    return Panel(
        title=title,
        shows=shows,
        normal=normal,
        act=act,
        unit=unit,
        kind=Kind.TIMESERIES,
        queries=_queries(queries),
        alert=alert,
        least=least,
        names=names,
    )


def number(
    title: str,
    expr: str,
    *,
    shows: str,
    normal: str,
    act: str,
    legend: str = "",
    unit: Unit = Unit.COUNT,
    alert: str | None = None,
    least: bool = False,
    names: Mapping[int, str] | None = None,
    columns: int = 4,
) -> Panel:
    """A panel of one large number for each series; without a legend it has the title's words."""
    return Panel(
        title=title,
        shows=shows,
        normal=normal,
        act=act,
        unit=unit,
        kind=Kind.STAT,
        queries=_queries(((expr, legend or title.lower()),)),
        alert=alert,
        least=least,
        names=names,
        columns=columns,
        rows=4,
    )


def compared(
    title: str,
    *queries: tuple[str, str],
    kind: Kind,
    shows: str,
    normal: str,
    act: str,
    unit: Unit = Unit.COUNT,
    alert: str | None = None,
    least: bool = False,
    columns: int = 12,
) -> Panel:
    """A panel that compares present values: a table, bars or gauges."""
    return Panel(
        title=title,
        shows=shows,
        normal=normal,
        act=act,
        unit=unit,
        kind=kind,
        queries=_queries(queries),
        alert=alert,
        least=least,
        columns=columns,
    )


def _queries(queries: tuple[tuple[str, str], ...]) -> tuple[Query, ...]:
    return tuple(Query(expr=expr, legend=legend) for expr, legend in queries)
