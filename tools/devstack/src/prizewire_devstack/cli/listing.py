"""What the listing commands share: one page of rows with a limit, and one thing as lines."""

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final

import click
from rich.table import Table
from rich.text import Text

from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.texts import printable

JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
LIMIT: Final = click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="At most so many."
)


def show_page(
    items: Iterable[dict[str, Any]],
    *,
    limit: int,
    as_json: bool,
    columns: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[str]],
    none: str,
) -> None:
    """Print at most ``limit`` items: a table of ``columns``, where ``row`` has the cells of one; ``none`` where there is no item."""
    found = list(islice(items, limit + 1))
    shown, more = found[:limit], len(found) > limit
    if as_json:
        click.echo(json.dumps({"items": shown, "more": more}))
        return
    if not shown:
        click.echo(none)
        return
    table = Table(*columns, box=None)
    for one in shown:
        table.add_row(*(Text(printable(cell), overflow="fold") for cell in row(one)))
    make_console().print(table)
    if more:
        click.echo(
            f"Only the first {limit} are shown: repeat the command with a larger --limit, or with filters (--help lists them)."
        )


def show_lines(lines: Iterable[tuple[str, str]]) -> None:
    """Print one thing: a label and a value on each line, without lines that say nothing."""
    table = Table(show_header=False, box=None)
    for label, value in lines:
        if value:
            table.add_row(Text(label, style="bold"), Text(printable(value), overflow="fold"))
    make_console().print(table)


def minute(moment: str | None) -> str:
    """A moment to the minute, in UTC; empty where there is none."""
    return "" if moment is None else f"{moment[:16]}Z"
