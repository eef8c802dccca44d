"""`prizewire publish`: report match results as a game server does, or facts of players as an identity source does."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from prizewire_contracts import topics
from prizewire_contracts.trust import MessageKey
from prizewire_devstack import game_server
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.game_server import SourceMessage
from prizewire_devstack.home import Home
from prizewire_devstack.texts import printable


@click.command(name="publish")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--source", help="The source of events that name none; default: the local game server or identity source."
)
@click.option("--key", "key_file", type=click.Path(path_type=Path), help="Sign with this key file instead.")
@click.option("--unsigned", is_flag=True, help="Leave the signature out.")
@click.option("--raw", is_flag=True, help="Send each line of the file unchanged, even if it is no event.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(  # noqa: PLR0917 - click passes options by name
    file: Path, source: str | None, key_file: Path | None, unsigned: bool, raw: bool, as_json: bool
) -> None:
    """Sign and send the events of FILE: JSON, JSON lines or YAML; whole events, or the bare data of results.

    Events of matches are sent as the game server, events of players as the identity source, each with its own login.
    If an event is not as its contract wants it, nothing is sent.
    """
    home = Home.default()
    logins = {principal: game_server.login(home, principal) for principal in game_server.PRINCIPALS}
    if raw:
        messages = game_server.raw_lines(file)
    else:
        given = game_server.key_of(key_file) if key_file and not unsigned else None
        now = datetime.now(UTC)
        try:
            events = game_server.completed(game_server.load(file), path=file, source=source, now=now)
        except DevstackError as error:
            raise DevstackError(f"{error} Nothing was sent.") from error
        messages = [
            game_server.message(event, key=None if unsigned else given or _local_key(home, event))
            for event in events
        ]
    for principal, login in logins.items():
        own = [one for one in messages if one.principal == principal]
        if own:
            game_server.send(login, own)
    if as_json:
        correlation_ids = list(dict.fromkeys(one.correlation_id for one in messages if one.correlation_id))
        click.echo(json.dumps({"sent": len(messages), "correlation_ids": correlation_ids}))
        return
    click.echo(f"Sent {len(messages)} message{'s' if len(messages) != 1 else ''}.")
    for line in where_to_look(messages):
        click.echo(line)
    click.echo("`prizewire stuck list` shows the events that were refused, with their reasons.")


def where_to_look(messages: Sequence[SourceMessage]) -> list[str]:
    """A line for each match and each player of the messages: how to see what their events did."""
    matches = {one.correlation_id: one.match_id for one in messages if one.correlation_id}
    players = dict.fromkeys(one.key.decode() for one in messages if one.topic is topics.PLAYERS)
    return [
        *(f"Follow match {printable(name or '')} with: prizewire trace {of}" for of, name in matches.items()),
        *(f"Facts of player {printable(one)}: GET /api/players/{quote(one, safe='')}" for one in players),
    ]


def _local_key(home: Home, event: dict[str, Any]) -> MessageKey:
    return game_server.local_key(home, game_server.principal_of(game_server.topic_of(event)))
