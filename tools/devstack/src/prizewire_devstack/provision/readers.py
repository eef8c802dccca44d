"""What each process of an installation may read: one folder of secrets for each, with its own files only.

The name of a file is its variable in lower case, without `_file`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prizewire_devstack import acl
from prizewire_devstack.components.kafka.login import KafkaLogin, scram_argument
from prizewire_devstack.components.kafka.properties import server_properties
from prizewire_devstack.components.keys import GAME_SERVER, IDENTITY, Keyring
from prizewire_devstack.components.postgres import database_url, owner_of
from prizewire_devstack.components.psql import SUPERUSER
from prizewire_devstack.home import INSTALLATION_NAME
from prizewire_devstack.routes import SERVICES

OURS: Final = 10001
"""The user of every image of Prizewire."""
KAFKA_USER: Final = 1000
"""The user `appuser` of the image apache/kafka."""
POSTGRES_USER: Final = 999
"""The user `postgres` of the image postgres."""
GRAFANA_USER: Final = 472
"""The user `grafana` of the image grafana/grafana."""
TOOLS_PRINCIPALS: Final = (GAME_SERVER, IDENTITY)
"""The Kafka principals whose events `prizewire publish` sends."""
SECRETS_PATH: Final = Path("/run/secrets/prizewire")
"""Where a process finds its own secrets."""
STATE_PATH: Final = Path("/var/lib/prizewire")
"""Where a process of Prizewire that stores files finds its folder."""
FAKE_WEBHOOK_SECRET: Final = "fake_webhook_secret"  # noqa: S105 - the name of a file
GRAFANA: Final = "grafana"
STATES: Final[Mapping[str, int]] = {
    "kafka": KAFKA_USER,
    "postgres": POSTGRES_USER,
    "payouts": OURS,
    "stellar": OURS,
}
"""Folders for what a process stores, with the user that owns each."""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the parts of an installation reach each other: `host:port`, and the URL of the gateway. `kafka_outside` is where clients
    outside the containers' networks reach Kafka, if any may.
    """

    postgres: str
    kafka: str
    gateway: str
    kafka_data: str
    controller_port: int
    kafka_outside: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One process, the user that it runs as, and its files: content by name. A name may have folders."""

    name: str
    user: int = OURS
    files: Mapping[str, str] = field(default_factory=dict)


def readers(keyring: Keyring, addresses: Addresses) -> tuple[Reader, ...]:
    """Every reader of the secrets of a keyring, but Grafana, which needs none of them."""
    return (
        *(_service(keyring, addresses, service) for service in SERVICES),
        *(_migration(keyring, addresses, service) for service in SERVICES),
        _databases(keyring, addresses),
        Reader(name="topics", files={"kafka_passwords": json.dumps(keyring.kafka_passwords(), indent=1)}),
        Reader(name="chain", files=_chain(keyring)),
        _tools(keyring, addresses),
        _kafka(keyring, addresses),
        Reader(
            name="postgres", user=POSTGRES_USER, files={"superuser_password": keyring.superuser_password()}
        ),
    )


def grafana(keyring: Keyring) -> Reader:
    """The password of Grafana's administrator."""
    return Reader(
        name=GRAFANA, user=GRAFANA_USER, files={"admin_password": keyring.grafana_password_file.read_text()}
    )


def own_files(keyring: Keyring) -> dict[str, dict[str, Path]]:
    """The key files of each service beside those that all have, by the names of its variables."""
    return {
        "settlement": {},
        "rewards": {"player_hash_key": keyring.player_hash_key_file},
        "payouts": {
            "method_encryption_key": keyring.method_encryption_key_file,
            FAKE_WEBHOOK_SECRET: keyring.fake_webhook_secret_file,
        },
        "webhooks": {
            "webhook_encryption_key": keyring.webhook_encryption_key_file,
            FAKE_WEBHOOK_SECRET: keyring.fake_webhook_secret_file,
        },
        "signer": {"channel_signer_secrets": keyring.channel_secrets_file},
    }


def _runtime_url(keyring: Keyring, addresses: Addresses, service: str) -> str:
    password = keyring.role_passwords(service).runtime
    return database_url(addresses.postgres, role=service, password=password, database=service)


def _service(keyring: Keyring, addresses: Addresses, service: str) -> Reader:
    files = {
        "database_url": _runtime_url(keyring, addresses, service),
        "kafka_sasl_password": keyring.kafka_passwords()[service],
        "message_key": keyring.message_key_file(service).read_text(),
        **{name: file.read_text() for name, file in own_files(keyring)[service].items()},
    }
    if service == "signer":
        files["payout_hot_signer_secret"] = keyring.stellar().treasury.secret
    return Reader(name=service, files=files)


def _migration(keyring: Keyring, addresses: Addresses, service: str) -> Reader:
    owner = database_url(
        addresses.postgres,
        role=owner_of(service),
        password=keyring.role_passwords(service).owner,
        database=service,
    )
    files = {"database_url": _runtime_url(keyring, addresses, service), "database_migration_url": owner}
    return Reader(name=f"{service}-migrate", files=files)


def _databases(keyring: Keyring, addresses: Addresses) -> Reader:
    superuser = database_url(
        addresses.postgres, role=SUPERUSER, password=keyring.superuser_password(), database=SUPERUSER
    )
    passwords = {service: keyring.role_passwords(service) for service in SERVICES}
    roles = {service: {"runtime": one.runtime, "owner": one.owner} for service, one in passwords.items()}
    return Reader(
        name="databases",
        files={"superuser_url": superuser, "role_passwords": json.dumps(roles, indent=1)},
    )


def _chain(keyring: Keyring) -> dict[str, str]:
    """The files of the chain's accounts, as a keyring has them."""
    files = (keyring.stellar_file, keyring.channel_secrets_file)
    return {str(file.relative_to(keyring.home.root)): file.read_text() for file in files}


def _tools(keyring: Keyring, addresses: Addresses) -> Reader:
    """A state directory for the command `prizewire`: tokens, and the events of game servers and identity sources."""
    files = (keyring.token_key_file, *(keyring.message_key_file(name) for name in TOOLS_PRINCIPALS))
    passwords = keyring.kafka_passwords()
    credentials = {"kafka": {name: passwords[name] for name in TOOLS_PRINCIPALS}}
    installation = {"gateway": addresses.gateway, "kafka": addresses.kafka}
    return Reader(
        name="tools",
        files={
            **{str(file.relative_to(keyring.home.root)): file.read_text() for file in files},
            str(keyring.credentials_file.relative_to(keyring.home.root)): json.dumps(credentials, indent=1),
            INSTALLATION_NAME: json.dumps(installation, indent=1),
        },
    )


def _kafka(keyring: Keyring, addresses: Addresses) -> Reader:
    admin_password = keyring.kafka_passwords()[acl.ADMIN]
    host, _, port = addresses.kafka.rpartition(":")
    properties = server_properties(
        port=int(port),
        controller_port=addresses.controller_port,
        log_dir=Path(addresses.kafka_data),
        admin_password=admin_password,
        controller_password=keyring.kafka_controller_password(),
        host=host,
        listen="0.0.0.0",  # noqa: S104 - its network has only those that may reach it
        outside=addresses.kafka_outside,
    )
    return Reader(
        name="kafka",
        user=KAFKA_USER,
        files={
            "server.properties": properties,
            "scram": scram_argument(acl.ADMIN, admin_password),
            "cluster_id": keyring.kafka_cluster_id(),
        },
    )


def login_of_admin(passwords: Mapping[str, str], kafka: str) -> KafkaLogin:
    """The administrator's login at a broker."""
    return KafkaLogin(bootstrap_servers=kafka, username=acl.ADMIN, password=passwords[acl.ADMIN])
