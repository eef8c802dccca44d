"""`prizewire trace`: from match result to transaction hash, over HTTP."""

import json
from dataclasses import asdict

import click

from prizewire_devstack import tracing
from prizewire_devstack.api import connect
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.game_server import local_correlation_id
from prizewire_devstack.texts import printable


@click.command(name="trace")
@click.argument("given", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--verbose", is_flag=True, help="Show every recorded detail.")
def command(given: str, as_json: bool, verbose: bool) -> int:
    """Show the steps that every service recorded under a correlation id, what waits now, and the stuck events.

    ID is a correlation id, or the id of a match of the local game server.

    Exit code 1 when no service knows it, or one does not answer.
    """
    with connect() as api:
        correlation_id, found = given, tracing.lineage(api, given)
        if not found.is_known and not found.silent:
            of_match = local_correlation_id(given)
            of_local = tracing.lineage(api, of_match)
            correlation_id, found = (of_match, of_local) if of_local.is_known else (given, found)
    known = found.is_known
    if as_json:
        click.echo(
            json.dumps(
                {
                    "correlation_id": correlation_id,
                    "services": tracing.services_named(found.steps),
                    "steps": [asdict(step) for step in found.steps],
                    "stuck": found.stuck,
                    "silent": found.silent,
                }
            )
        )
        return 0 if known and not found.silent else 1
    if correlation_id != given:
        click.echo(f"Match {printable(given)} has the correlation id {correlation_id}.")
    if found.steps:
        tracing.render(make_console(), found.steps, verbose=verbose)
        if not verbose:
            click.echo("An id that ends in … is shortened: --verbose shows it whole.")
    for step in found.steps:
        if awaited := (step.detail.get("now") or {}).get("waits_for"):
            click.echo(f"Waiting: {step.kind} {step.id} waits for {printable(awaited)}.")
    for item in found.stuck:
        click.echo(f"Stuck: {item['ref']} is {item['state']} ({item['reason']}): {printable(item['detail'])}")
    if found.silent:
        click.echo(f"prizewire: {tracing.missing(found.silent)}", err=True)
    elif not known:
        click.echo(
            f"No service knows the id {printable(given)}, as a correlation id or as a match of the local game server: check it, or look into `prizewire stuck list`, for discarded "
            "events with `--state discarded`.",
            err=True,
        )
    return 0 if known and not found.silent else 1
