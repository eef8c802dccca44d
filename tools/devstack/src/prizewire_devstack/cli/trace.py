"""`prizewire trace`: from match result to transaction hash, over HTTP."""

import json
from dataclasses import asdict

import click

from prizewire_devstack import tracing
from prizewire_devstack.api import connect
from prizewire_devstack.cli.console import console as make_console


@click.command(name="trace")
@click.argument("correlation_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--verbose", is_flag=True, help="Show every recorded detail.")
def command(correlation_id: str, as_json: bool, verbose: bool) -> int:
    """Show what every service recorded of a correlation id; exit code 1 when none knows it."""
    with connect() as api:
        steps = tracing.trace(api, correlation_id)
    if as_json:
        services = tracing.services_named(steps)
        click.echo(
            json.dumps(
                {
                    "correlation_id": correlation_id,
                    "services": services,
                    "steps": [asdict(step) for step in steps],
                }
            )
        )
    elif steps:
        tracing.render(make_console(), steps, verbose=verbose)
    else:
        click.echo(f"No service knows the correlation id {correlation_id}.", err=True)
    return 0 if steps else 1
