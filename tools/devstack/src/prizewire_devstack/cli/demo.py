"""`prizewire demo`: three prize lists, from signed match events to paid prizes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console

from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.cli.up import running_stack, terminating
from prizewire_devstack.demo.run import Demonstration
from prizewire_devstack.errors import NotRunningError
from prizewire_devstack.home import Home, RunRecord, repository_root


@contextmanager
def _stack(console: Console, *, fresh: bool) -> Iterator[RunRecord]:
    """The running stack, or one that is started for the demonstration and stopped after it."""
    home = Home.default()
    try:
        run = home.running()
    except NotRunningError:
        run = None
    if run is not None:
        console.print(f"Using the running stack at {run.urls['gateway']}.", soft_wrap=True)
        yield run
        return
    with running_stack(console=console, fresh=fresh) as stack:
        yield stack.home.running()
        console.print("Stopping the stack; its state is kept.", highlight=False)


@click.command(name="demo")
@click.option("--fresh", is_flag=True, help="Delete all state of earlier runs first.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the outcome as one JSON line; progress goes to stderr."
)
def command(fresh: bool, as_json: bool) -> int:
    """Pay three prize lists and check every sum; exit code 1 when a prize is not paid or a sum is wrong."""
    console = make_console(stderr=as_json)
    with terminating(), _stack(console, fresh=fresh) as run:
        outcome = Demonstration(
            home=Home.default(), run=run, root=repository_root(), console=console
        ).perform()
    if as_json:
        click.echo(json.dumps(outcome.to_json()))
    return 0 if outcome.good else 1
