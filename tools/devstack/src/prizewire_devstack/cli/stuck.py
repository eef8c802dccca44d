"""`prizewire stuck`: events that were refused or wait, in every service."""

import json
from typing import Any

import click
from rich.table import Table

from prizewire_devstack.api import connect
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.routes import SERVICES_WITH_API


def _split(reference: str) -> tuple[str, str]:
    service, _, number = reference.partition("/")
    if service not in SERVICES_WITH_API or not number.isdecimal():
        raise DevstackError(
            f"{reference!r} names no stuck event: give SERVICE/NUMBER as `prizewire stuck list` shows it."
        )
    return service, number


@click.group(name="stuck")
def command() -> None:
    """Dead and parked events: look at them, and send them again."""


@command.command(name="list")
@click.option(
    "--service", "services", multiple=True, type=click.Choice(SERVICES_WITH_API), help="Default: all."
)
@click.option("--state", type=click.Choice(["dead", "parked", "replayed"]), help="Default: dead and parked.")
@click.option("--correlation-id", help="Only those of one match.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_events(
    services: tuple[str, ...], state: str | None, correlation_id: str | None, as_json: bool
) -> None:
    """List stuck events with their stable reasons."""
    found: list[dict[str, Any]] = []
    with connect() as api:
        for service in services or SERVICES_WITH_API:
            items = api.items(
                f"/api/services/{service}/stuck-events", state=state, correlation_id=correlation_id
            )
            found += [{"ref": f"{service}/{item['id']}", "service": service, **item} for item in items]
    if as_json:
        click.echo(json.dumps({"items": found}))
        return
    if not found:
        click.echo("Nothing is stuck.")
        return
    table = Table("event", "state", "reason", "type", "subject", "detail", box=None)
    for item in found:
        kind = (item.get("type") or "").removeprefix("prizewire.")
        table.add_row(
            item["ref"], item["state"], item["reason"], kind, item.get("subject") or "", item["detail"]
        )
    make_console().print(table)


@command.command(name="show")
@click.argument("reference", metavar="SERVICE/NUMBER")
def show(reference: str) -> None:
    """Show one stuck event with its message, as JSON."""
    service, number = _split(reference)
    with connect() as api:
        click.echo(
            json.dumps(
                api.get(f"/api/services/{service}/stuck-events/{number}"), indent=1, ensure_ascii=False
            )
        )


@command.command(name="replay")
@click.argument("reference", metavar="SERVICE/NUMBER")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay(reference: str, as_json: bool) -> int:
    """Send one stuck event through its consumer again; exit code 1 when it is refused again."""
    service, number = _split(reference)
    with connect() as api:
        answer = api.post(f"/api/services/{service}/stuck-events/{number}/replay")
    applied = answer["state"] == "replayed"
    if as_json:
        click.echo(json.dumps(answer))
    elif applied:
        click.echo(f"{reference} was applied.")
    else:
        click.echo(f"{reference} was refused again: {answer.get('reason')}.")
    return 0 if applied else 1
