"""`prizewire publish`: report match results as a game server does."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from prizewire_devstack import game_server
from prizewire_devstack.home import Home


@click.command(name="publish")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--source", default=game_server.SOURCE, show_default=True, help="Where an event names none.")
@click.option("--key", "key_file", type=click.Path(path_type=Path), help="Sign with this key file instead.")
@click.option("--unsigned", is_flag=True, help="Leave the signature out.")
@click.option("--raw", is_flag=True, help="Send each line of the file as it stands, whatever it is.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(  # noqa: PLR0917 - click passes options by name
    file: Path, source: str, key_file: Path | None, unsigned: bool, raw: bool, as_json: bool
) -> None:
    """Sign and send the match events of FILE: JSON, JSON lines or YAML; whole events, or the bare data of results."""
    home = Home.default()
    login = game_server.login(home)
    if raw:
        messages = game_server.raw_lines(file)
    else:
        documents = game_server.load(file)
        key = None
        if not unsigned:
            key = game_server.key_of(key_file) if key_file else game_server.local_key(home)
        now = datetime.now(UTC)
        messages = [
            game_server.message(game_server.complete(document, source=source, now=now), key=key)
            for document in documents
        ]
    game_server.send(login, messages)
    correlation_ids = list(dict.fromkeys(one.correlation_id for one in messages if one.correlation_id))
    if as_json:
        click.echo(json.dumps({"sent": len(messages), "correlation_ids": correlation_ids}))
        return
    click.echo(f"Sent {len(messages)} message{'s' if len(messages) != 1 else ''}.")
    for correlation_id in correlation_ids:
        click.echo(f"Follow it with: prizewire trace {correlation_id}")
