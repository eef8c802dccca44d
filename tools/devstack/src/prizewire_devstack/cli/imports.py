"""`prizewire import`: opening balances of players from an earlier system."""

import json
from pathlib import Path
from typing import Final

import click
from rich.table import Table

from prizewire_contracts.text import counted
from prizewire_devstack import balances
from prizewire_devstack.api import advising, connect
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.texts import printable

DRY: Final = "This was the dry run: nothing was booked. Once the service answers, import the file again."
AGAIN: Final = "Once it answers, import the file again: a row that is booked already is not booked twice."


@click.group(name="import")
def command() -> None:
    """Import data of an earlier system."""


@command.command(name="balances")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--apply", "apply_", is_flag=True, help="Book the balances; without it nothing is changed.")
@click.option("--partial", is_flag=True, help="With --apply: book the valid rows even if others are refused.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_balances(file: Path, apply_: bool, partial: bool, as_json: bool) -> int:
    """Book the opening balances of FILE, each once however often the command runs. Fields: player, asset, bucket (winnings or
    topup), amount, reference; as CSV with a header or as JSON lines.

    A dry run goes first. Exit code 1 when a row is refused or the sums do not agree.
    """
    with connect() as api:
        with advising(DRY):
            report = balances.send(api, balances.read(file), apply=False)
        if apply_ and (report.good or partial):
            with advising(AGAIN):
                report = balances.send(api, balances.read(file), apply=True)
    if as_json:
        click.echo(json.dumps(report.to_json()))
        return 0 if report.good else 1
    render(report, applied=apply_)
    return 0 if report.good else 1


def render(report: balances.Report, *, applied: bool) -> None:
    """Print the reconciliation."""
    console = make_console()
    done = "would be imported" if report.dry_run else "imported"
    console.print(
        f"{counted(report.rows, 'row')}: {report.imported} {done}, {report.already} imported before, "
        f"{report.repeated} repeated in the file, {report.refused_count} refused.",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("asset", "bucket", "before", "imported", "after", "", box=None)
    for (asset, bucket), one in sorted(report.sums.items()):
        verdict = "" if one.reconciles else "does not add up"
        table.add_row(
            asset,
            bucket,
            balances.plain(one.before),
            balances.plain(one.imported),
            balances.plain(one.after),
            verdict,
        )
    if report.sums:
        console.print(table)
    for refused in sorted(report.refused):
        click.echo(f"line {refused.line}: {refused.code}: {printable(refused.detail)}")
    if report.refused_count > len(report.refused):
        click.echo(f"and {report.refused_count - len(report.refused)} more")
    if report.dry_run and applied:
        click.echo("Nothing was imported: correct the refused rows, or add --partial to import the others.")
    elif report.dry_run:
        click.echo("Nothing was changed: this was a dry run. Add --apply to import.")
