"""Who a command acts as: the person of a token elsewhere, on the local stack any person by name."""

from typing import Final

import click

from prizewire_devstack.api import Api, connect, remote, say_on_stderr
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import Home

BY: Final = click.option(
    "--by",
    "person",
    help="The person who decides, on the local stack. Elsewhere the token of PRIZEWIRE_TOKEN names the person.",
)


def connect_as(person: str | None, *, roles: tuple[str, ...]) -> Api:
    """The installation, as a person where one is named.

    Raises:
        DevstackError: a person is named, and the token of another installation names its own.
    """
    if person is None:
        return connect(roles=roles)
    if remote(roles=roles) is not None:
        raise DevstackError(
            "--by is for the local stack: elsewhere PRIZEWIRE_TOKEN says who decides. Leave --by out, or use their token."
        )
    home = Home.default()
    run = home.running()
    token = Keyring(home=home).token(*roles, subject=person)
    return Api(base_url=run.urls["gateway"], token=token, notice=say_on_stderr)
