"""`prizewire manifests`: the manifests that follow from tables."""

import click

from prizewire_devstack.home import repository_root
from prizewire_devstack.manifests import GENERATED, write_manifests


@click.command(name="manifests")
def command() -> None:
    """Write the manifests in deploy that follow from the tables of routes, topics, rights and services."""
    changed = write_manifests(repository_root() / "deploy")
    click.echo(f"{len(GENERATED)} manifests, {len(changed)} changed")
