"""`prizewire verify`: check every invariant of every service."""

import json
from datetime import datetime
from pathlib import Path
from typing import Final

import click
from rich.table import Table

from prizewire_devstack import tracing
from prizewire_devstack.agreement import Memory
from prizewire_devstack.api import connect, remote
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.home import Home
from prizewire_devstack.texts import printable
from prizewire_devstack.verification import TIMEOUT_S, Verification, verify

ROUNDS_COMPARED: Final = "prizes_are_those_settled"
"""The invariant that compares the rounds that ended."""
MEMORY_NAME: Final = "verified.json"
"""The file in the state directory of a local stack."""


@click.command(name="verify")
@click.option(
    "--all", "every", is_flag=True, help="Compare every round and payout, also those that agreed before."
)
@click.option(
    "--memory",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file for the time up to which everything agreed; on the local stack it is stored by itself. A file of another "
    "installation is refused, and left as it is.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(every: bool, file: Path | None, as_json: bool) -> int:
    """Run every service's checks, one line each; exit code 1 on a breach, or when a service does not answer.

    Rounds are compared between settlement and rewards, payouts between rewards and payouts, in both directions. Items that
    agreed before are skipped; a difference is a breach in each run until it is solved.

    The signer serves no checks; its metrics are read where they can be reached: on the local stack.
    """
    local = Home.default() if remote() is None else None
    signer_url = None if local is None else local.running().urls.get("signer")
    kept = file if local is None or file is not None else local.root / MEMORY_NAME
    memory = None if kept is None else Memory(kept, ignored=every, named=file is not None)
    with connect(timeout_s=TIMEOUT_S) as api:
        found = verify(api, memory=memory, signer_url=signer_url)
    if as_json:
        click.echo(json.dumps(found.to_json()))
    else:
        render(found)
    return 0 if found.good else 1


def render(found: Verification) -> None:
    """Print a line for each invariant, and its breaches below."""
    console = make_console()
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    for one in found.verdicts:
        verdict = "[green]ok[/]" if one.ok else "[bold red]BREACH[/]"
        checked = "" if one.looked_at is None else f"{one.looked_at} checked"
        table.add_row(one.service, one.invariant, verdict, checked)
    console.print(table)
    for one in found.broken:
        for breach in one.breaches or ("no breach was named",):
            click.echo(f"{one.service}: {one.invariant}: {printable(breach)}")
    if found.distrusted:
        click.echo(
            f"prizewire: the marks of an earlier run for {', '.join(found.distrusted)} are of another "
            "installation and were not used: everything was compared.",
            err=True,
        )
    if found.left_out:
        click.echo(f"prizewire: not compared: {', '.join(found.left_out)}.", err=True)
    if found.silent:
        click.echo(f"prizewire: {tracing.missing(found.silent)}", err=True)
    elif found.good:
        console.print(
            f"{len(found.verdicts)} invariants hold{_compared(found)}.", highlight=False, soft_wrap=True
        )


def _compared(found: Verification) -> str:
    """The part of the last line about rounds: how many were compared, and which were skipped."""
    for one in found.verdicts:
        if one.invariant == ROUNDS_COMPARED:
            rounds = (
                "1 round that ended was" if one.looked_at == 1 else f"{one.looked_at} rounds that ended were"
            )
            if one.compared_since is None:
                return f"; {rounds} compared, {'the only one' if one.looked_at == 1 else 'which are all'}"
            since = datetime.fromisoformat(one.compared_since)
            return (
                f"; {rounds} compared; those that ended before {since:%Y-%m-%dT%H:%M:%SZ} agreed in an earlier run "
                "and were not compared again (--all compares all)"
            )
    return ""
