"""`prizewire token`: a token for calling the HTTP interfaces by hand."""

import json
from datetime import timedelta

import click

from prizewire_devstack import tokens
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.errors import DevstackError, NotRunningError
from prizewire_devstack.home import Home


@click.command(name="token")
@click.option(
    "--role", "roles", multiple=True, type=click.Choice(tokens.ROLES), help="May be given several times."
)
@click.option("--player", help="The player, or other subject, of the token.")
@click.option(
    "--hours", default=12, show_default=True, type=click.IntRange(1, 24 * 30), help="How long it is valid."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(roles: tuple[str, ...], player: str | None, hours: int, as_json: bool) -> None:
    """Print a token for the local stack: --player alone makes a player's, --role admin an administrator's.

    Without both it is a token of the operator `operator-1`.
    """
    if player is not None and not player.strip():
        raise DevstackError(
            "--player is empty: name the player, or leave it out for a token of `operator-1`."
        )
    chosen = roles or (("player",) if player else ("operator",))
    subject = player or f"{chosen[0]}-1"
    keyring = Keyring(home=Home.default())
    if not keyring.token_key_file.is_file():
        raise NotRunningError("There is no local stack yet: start it with `prizewire up` and try again.")
    token = keyring.token(*chosen, subject=subject, valid=timedelta(hours=hours))
    click.echo(json.dumps({"token": token, "subject": subject, "roles": chosen}) if as_json else token)
