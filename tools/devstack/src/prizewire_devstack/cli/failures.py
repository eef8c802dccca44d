"""The sentence about an anticipated failure. No import but click, since every command loads this module."""

import click

from prizewire_devstack.errors import DevstackError


def print_failure(error: DevstackError) -> None:
    """Print the failure's sentence to stderr, unless it was printed before."""
    if not error.printed:
        click.echo(f"prizewire: {error}", err=True)
    error.printed = True
