"""Pauses of payouts, for `prizewire payouts` and `prizewire rails`."""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid4

import click
from rich.table import Table
from rich.text import Text

from prizewire_devstack.api import Api
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.texts import printable

PATH: Final = "/api/admin/payouts/pauses"
SCOPES: Final = ("rail", "asset", "campaign", "competition", "player")


def words(pause: Mapping[str, Any]) -> str:
    """What is paused, by whom and why."""
    return f"{pause['scope']} {pause['value']}, by {pause['paused_by']}: {pause['reason']}"


def in_force(api: Api) -> list[dict[str, Any]]:
    """The pauses in force."""
    found: list[dict[str, Any]] = api.get(PATH)["items"]
    return found


def show(api: Api, *, as_json: bool) -> None:
    """Print the pauses in force."""
    found = in_force(api)
    if as_json:
        click.echo(json.dumps({"items": found}))
        return
    if not found:
        click.echo("No payouts are paused.")
        return
    table = Table("pause", "scope", "value", "by", "since", "reason", box=None)
    for one in found:
        cells = (
            one["scope"],
            one["value"],
            one["paused_by"],
            f"{str(one['paused_at'])[:16]}Z",
            one["reason"],
        )
        table.add_row(str(one["id"]), *(Text(printable(str(cell)), overflow="fold") for cell in cells))
    make_console().print(table)


def begin(api: Api, *, scope: str, value: str, reason: str, as_json: bool) -> None:
    """Pause, and print the pause."""
    made = api.post(PATH, {"scope": scope, "value": value, "reason": reason}, key=f"pause:{uuid4()}")
    if as_json:
        click.echo(json.dumps(made))
        return
    click.echo(f"{made['id']}  paused: {printable(words(made))}")
    if not made["value_checked"]:
        click.echo(
            f"Payouts does not know each {scope}: look whether {printable(value)} is written as it should be."
        )


def lift(api: Api, pause_id: UUID, *, as_json: bool) -> None:
    """Lift a pause, and print it."""
    lifted = api.delete(f"{PATH}/{pause_id}")
    if as_json:
        click.echo(json.dumps(lifted))
    else:
        paused = f"{lifted['scope']} {lifted['value']}, paused by {lifted['paused_by']}: {lifted['reason']}"
        click.echo(f"{lifted['id']}  resumed: {printable(paused)}")
