"""`prizewire rails`: the configured rails and their state."""

import json
from typing import Any

import click
from rich.table import Table

from prizewire_devstack.api import Api, ApiError, connect
from prizewire_devstack.cli import pauses
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.texts import printable

PATH = "/api/admin/payouts/rails"
FORBIDDEN = 403


@click.group(name="rails")
def command() -> None:
    """The payout rails of the installation."""


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_rails(as_json: bool) -> int:
    """List the rails in their order of preference; exit code 1 when payouts cannot start on one of them now.

    docs/rails.md lists what each rail was tested for.
    """
    with connect() as api:
        found: list[dict[str, Any]] = api.get(PATH)["items"]
        paused = _pauses(api)
    stopped = [one for one in found if obstacle(one) is not None]
    if as_json:
        click.echo(json.dumps({"items": found, "pauses": paused}))
    elif not found:
        click.echo("No rail is configured: name one in RAILS_FILE of payouts.")
    else:
        table = Table(
            "rail",
            "provider",
            "type",
            "assets",
            "pays to",
            "preference",
            "cost",
            "circuit",
            "state",
            box=None,
        )
        for one in found:
            table.add_row(
                *(printable(str(one.get(name) or "")) for name in ("name", "provider", "type")),
                printable(" ".join(one["assets"])),
                printable(" ".join(one["method_types"])),
                printable(str(one.get("preference", 0))),
                printable(" ".join(map(cost, one.get("cost", ())))),
                printable(str(one.get("circuit") or "")),
                printable(obstacle(one) or "ready"),
            )
        make_console().print(table)
        for one in paused:
            click.echo(f"Paused: {printable(pauses.words(one))}.")
    return 1 if stopped else 0


def _pauses(api: Api) -> list[dict[str, Any]]:
    """The pauses in force of rails, and of what several rails pay; none where the token may not read them."""
    try:
        return pauses.in_force(api)
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        return []


def cost(found: dict[str, Any]) -> str:
    """What a payment in one asset costs, such as ``0.10+0.005·EURC``."""
    parts = [str(found[name]) for name in ("fixed", "share")]
    return f"{parts[0]}+{parts[1]}·{found['asset']}"


def obstacle(rail: dict[str, Any]) -> str | None:
    """Why no payment starts on a rail now; None where payments start."""
    if rail.get("off"):
        return f"off: {rail['off']}"
    if rail.get("paused"):
        return "paused"
    if rail.get("circuit") not in (None, "closed"):
        return f"circuit {rail['circuit']}"
    return None
