"""`prizewire apply`: campaigns and competitions from a file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from prizewire_devstack import declarations
from prizewire_devstack.api import advising, connect, installation, remote
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.home import Home
from prizewire_devstack.texts import printable

AGAIN: Final = "Once it answers, apply the file again: what is applied already does not change."


@click.command(name="apply")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: Path, as_json: bool) -> None:
    """Create and change campaigns and competitions as FILE declares them; applying it again changes nothing."""
    document = declarations.load(file)
    with connect() as api, advising(AGAIN):
        has_key = remote() is None or installation() is not None
        local_key = Keyring(home=Home.default()).game_server_key() if has_key else None
        changes = declarations.apply(
            api, document, local_key=local_key, report=_ignore if as_json else _print
        )
    if as_json:
        click.echo(json.dumps({"changes": [asdict(change) for change in changes]}))


def _print(change: declarations.Change) -> None:
    settings = f" ({', '.join(change.settings)})" if change.settings else ""
    number = [] if change.id == change.name else [f"id {change.id}"]
    facts = ", ".join([*number, *change.facts])
    click.echo(f"{change.kind} {printable(change.name)}: {change.action}{settings}; {printable(facts)}")


def _ignore(change: declarations.Change) -> None:
    del change
