"""`prizewire source`: the key of a game server or identity source, and events signed with it; no stack is needed."""

import json
import os
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from prizewire_contracts.trust import MessageKey
from prizewire_devstack import game_server
from prizewire_devstack.errors import DevstackError

KEY_MODE = 0o600
SEED_BYTES = 32


@click.group(name="source")
def command() -> None:
    """Make the key that a game server or an identity source signs its events with, and sign events."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--keyid", required=True, help="The key's name, such as chess-2026a; each event carries it.")
@click.option(
    "--days",
    default=366,
    show_default=True,
    type=click.IntRange(1, 3660),
    help="How many days the key is valid.",
)
def keygen(file: Path, keyid: str, days: int) -> None:
    """Write a new private key to FILE, readable by you alone, and print its public half.

    Paste what is printed into the `keys` of the source: in a competition for matches, in PLAYER_SOURCES_FILE of rewards
    for facts of players. To rotate, let the validity of the old and the new key overlap. Remove a stolen key there:
    a competition has effect at once, the file after a restart of rewards.
    """
    if not keyid.isascii() or not keyid.isprintable() or " " in keyid or not 1 <= len(keyid) <= 128:
        raise DevstackError(
            f"The keyid {keyid!r} is not 1 to 128 printable ASCII characters without a space: choose another."
        )
    seed = secrets.token_bytes(SEED_BYTES)
    document = json.dumps({"keyid": keyid, "private_key": seed.hex()})
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_MODE)
    except FileExistsError:
        raise DevstackError(
            f"{file} exists already, and keys are not overwritten: name another file."
        ) from None
    with os.fdopen(handle, "w") as out:
        out.write(document + "\n")
    now = datetime.now(UTC).replace(microsecond=0)
    entry = {
        "keyid": keyid,
        "public_key": MessageKey.from_seed(keyid=keyid, seed=seed).public_key,
        "not_before": now.isoformat(),
        "not_after": (now + timedelta(days=days)).isoformat(),
    }
    click.echo(json.dumps(entry, indent=2))


@command.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--key", "key_file", required=True, type=click.Path(path_type=Path), help="The private key file."
)
@click.option(
    "--source", help="The source of events that name none; default: the local game server or identity source."
)
def sign(file: Path, key_file: Path, source: str | None) -> None:
    """Sign the events of FILE (`-` reads JSON from standard input), and print each on a line of its own.

    Missing fields of an event (id, time, and so on) are filled in; bare data become a result. Facts of players
    are events of the type prizewire.player.updated.v1.
    """
    key = game_server.key_of(key_file)
    now = datetime.now(UTC)
    for event in game_server.completed(_documents(file), path=file, source=source, now=now):
        click.echo(game_server.message(event, key=key).value.decode())


def _documents(file: Path) -> list[dict[str, Any]]:
    if str(file) != "-":
        return game_server.load(file)
    try:
        found: Any = json.load(sys.stdin)
    except ValueError as error:
        raise DevstackError(f"Standard input is no valid JSON: {error}") from error
    documents = found if isinstance(found, list) else [found]
    if not documents or not all(isinstance(one, dict) for one in documents):
        raise DevstackError("Standard input holds no event: an event is a mapping with match_id and so on.")
    return documents
