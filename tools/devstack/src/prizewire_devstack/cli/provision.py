"""`prizewire provision`: what an installation without Kubernetes needs before its services start."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

from prizewire_contracts.topics import TOPICS
from prizewire_devstack.provision.chain import provision_chain
from prizewire_devstack.provision.databases import provision_databases
from prizewire_devstack.provision.keys import provision_keys
from prizewire_devstack.provision.readers import SECRETS_PATH, Addresses
from prizewire_devstack.provision.topics import provision_topics
from prizewire_devstack.provision.transit import account_of

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group(name="provision")
def command() -> None:
    """Make keys, databases, topics and the accounts of a local chain, and name the accounts of keys in OpenBao or Vault.

    Each command may be repeated: it deletes nothing. Its help says what it changes. docs/deploy.md says what it is for.
    """


_KEYS_HELP: Final = """Make every key and password that is missing, and write each process's own files.

\b
keys/            all keys; only the user that runs this command may read them
secrets/READER/  the secrets of one process, mode 0400; as root, they belong to its user
public/          public configuration
state/PART/      folders for what a process stores
"""


@command.command(help=_KEYS_HELP)
@click.option("--directory", required=True, type=_FOLDER, help="Where the folders are written.")
@click.option("--postgres", required=True, metavar="HOST:PORT", help="Where services reach PostgreSQL.")
@click.option("--kafka", required=True, metavar="HOST:PORT", help="Where services reach Kafka.")
@click.option(
    "--kafka-outside",
    metavar="HOST:PORT",
    help="Where clients outside the containers' networks reach Kafka, if any may.",
)
@click.option(
    "--gateway", required=True, metavar="URL", help="Where tools and the fake rail reach the gateway."
)
@click.option(
    "--kafka-data", default="/var/lib/kafka/data/log", show_default=True, help="Kafka's data folder."
)
@click.option("--kafka-controller-port", default=9093, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--assets", type=click.Path(path_type=Path, dir_okay=False), help="The file assets.yaml, to be copied."
)
@click.option(
    "--only",
    multiple=True,
    metavar="READER",
    help="Write this reader's files only, such as those of grafana; may be repeated.",
)
@click.option(
    "--valid-days",
    default=365,
    show_default=True,
    type=click.IntRange(1, 3650),
    help="How long the message keys that are made now are valid.",
)
@click.option(
    "--number",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Ends the ids of the message keys that are made now. The successor of a key needs another number.",
)
def keys(  # noqa: PLR0917 - click passes options by name
    directory: Path,
    postgres: str,
    kafka: str,
    kafka_outside: str | None,
    gateway: str,
    kafka_data: str,
    kafka_controller_port: int,
    assets: Path | None,
    only: tuple[str, ...],
    valid_days: int,
    number: int,
) -> None:
    """Make the keys that are missing, and write each process's files."""
    addresses = Addresses(
        postgres=postgres,
        kafka=kafka,
        gateway=gateway,
        kafka_data=kafka_data,
        controller_port=kafka_controller_port,
        kafka_outside=kafka_outside,
    )
    written = provision_keys(
        directory=directory,
        addresses=addresses,
        assets=assets,
        only=only,
        now=datetime.now(UTC),
        valid=timedelta(days=valid_days),
        number=number,
    )
    click.echo(f"Wrote the files of {', '.join(written)}.")


@command.command()
@click.option(
    "--secrets",
    default=SECRETS_PATH,
    show_default=True,
    type=_FOLDER,
    help="Has superuser_url and role_passwords.",
)
def databases(secrets: Path) -> None:
    """Create each service's two roles and its database, and set passwords and rights."""
    made = asyncio.run(provision_databases(secrets=secrets))
    click.echo(f"The databases {', '.join(made)} are there.")


_TOPICS_HELP: Final = """Set each principal's password, create missing topics with their settings, and missing ACLs.

A topic that exists keeps its partitions and copies. Its settings are set to those of the table, but a larger retention.ms,
retention.bytes, min.insync.replicas or max.message.bytes stays. Each changed setting is a line of the output.

Other ACLs, and times of messages that are limited more than by default, are lines of the output, and stay.
"""


@command.command(help=_TOPICS_HELP)
@click.option("--secrets", default=SECRETS_PATH, show_default=True, type=_FOLDER, help="Has kafka_passwords.")
@click.option("--kafka", required=True, metavar="HOST:PORT", help="Where to reach Kafka.")
@click.option(
    "--replicas",
    default=1,
    show_default=True,
    type=click.IntRange(1, 9),
    help="Copies of each partition of a new topic. All but one of them confirm a write.",
)
def topics(secrets: Path, kafka: str, replicas: int) -> None:
    """Create topics and ACLs, and print what was changed and what is in no table."""
    done = provision_topics(secrets=secrets, kafka=kafka, replicas=replicas)
    for text in done.changed:
        click.echo(f"Changed {text}.")
    for text in done.beyond:
        click.echo(f"In no table, and left as it is: {text}.")
    click.echo(f"{len(TOPICS)} topics are there, with their settings, principals and ACLs.")


@command.command()
@click.option(
    "--secrets", default=SECRETS_PATH, show_default=True, type=_FOLDER, help="Has the chain's keys."
)
@click.option("--rpc", required=True, metavar="URL", help="The Stellar RPC of a local network.")
@click.option("--friendbot", metavar="URL", help="What pays for new accounts.  [default: RPC/friendbot]")
def chain(secrets: Path, rpc: str, friendbot: str | None) -> None:
    """Create issuer, treasury and channel accounts on a local network, with a friendbot."""
    treasury = provision_chain(secrets=secrets, rpc=rpc, friendbot=friendbot)
    click.echo(f"The treasury {treasury} has its tokens.")


@command.command()
@click.option(
    "--version",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="The version of the key. Each version is another account.",
)
def account(version: int) -> None:
    """Print the name and the Stellar account of a key in OpenBao or Vault.

    Standard input is the answer of `bao read -format=json transit/keys/NAME`.
    """
    click.echo(" ".join(account_of(sys.stdin.read(), version=version)))
