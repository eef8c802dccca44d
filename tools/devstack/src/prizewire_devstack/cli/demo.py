"""`prizewire demo`: three prize lists, from signed match events to paid prizes."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from prizewire_devstack.cli import dashboards
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.cli.up import running_stack, terminating
from prizewire_devstack.components import prometheus
from prizewire_devstack.demo.run import Demonstration
from prizewire_devstack.errors import NotRunningError
from prizewire_devstack.home import Home, RunRecord, repository_root


@contextmanager
def _stack(console: Console, *, fresh: bool, monitoring: bool) -> Iterator[RunRecord]:
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
    with running_stack(console=console, fresh=fresh, monitoring=monitoring) as stack:
        yield stack.home.running()
        console.print("Stopping the stack; its state is kept.", highlight=False)


@click.command(name="demo")
@click.option("--fresh", is_flag=True, help="Delete all state of earlier runs first.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the outcome as one JSON line; progress goes to stderr."
)
@click.option(
    "--draw",
    "pictures",
    metavar="DIRECTORY",
    type=click.Path(file_okay=False, path_type=Path),
    help="Run Prometheus too, and draw every dashboard into DIRECTORY at the end, from the start of this command on.",
)
def command(fresh: bool, as_json: bool, pictures: Path | None) -> int:
    """Pay three prize lists and check every sum; exit code 1 when a prize is not paid or a sum is wrong."""
    console = make_console(stderr=as_json)
    began_s = time.time()
    with terminating(), _stack(console, fresh=fresh, monitoring=pictures is not None) as run:
        if pictures is not None:
            dashboards.ready_to_draw(run)
        outcome = Demonstration(
            home=Home.default(), run=run, root=repository_root(), console=console
        ).perform()
        if pictures is not None:
            dashboards.wait_for_pools(run.urls[prometheus.NAME])
            dashboards.draw_all(pictures, url=run.urls[prometheus.NAME], since_s=began_s)
            console.print(f"Pictures of every dashboard are in {pictures}.", soft_wrap=True)
    if as_json:
        click.echo(json.dumps(outcome.to_json()))
    return 0 if outcome.good else 1
