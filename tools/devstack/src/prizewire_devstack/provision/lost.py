"""Keys that are lost while a reader still has them: a new key in their place would replace the last copy of the old one."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from prizewire_devstack.components.keys import GAME_SERVER, IDENTITY, Keyring
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.provision.readers import GRAFANA, own_files
from prizewire_devstack.routes import SERVICES

NAMED_MAX: Final = 3
"""How many lost files the sentence names; of more it names the first."""


def refuse_lost(keyring: Keyring, *, secrets: Path, public: Path, only: Collection[str]) -> None:
    """Refuse to make a key that a reader's file below `secrets` or `public` was written from. `only` has the names of the
    readers to be written; empty for all but Grafana.

    Only names of files are read, since the files belong to their readers.

    Raises:
        DevstackError: a file of the keyring is missing, and a reader has what was in it.
    """
    copies = [] if set(only) == {GRAFANA} else list(_copies(keyring, secrets=secrets, public=public))
    if GRAFANA in only:
        copies.append((keyring.grafana_password_file, secrets / GRAFANA / "admin_password"))
    lost: dict[Path, Path] = {}
    for file, copy in copies:
        if copy.exists() and not file.exists():
            lost.setdefault(file, copy)
    if not lost:
        return
    named = [f"{file} (an earlier one is in {copy})" for file, copy in lost.items()]
    more = f" and {len(named) - 1} more" if len(named) > NAMED_MAX else ""
    raise DevstackError(
        f"Lost: {', '.join(named[:1] if more else named)}{more}. No file was changed. Restore the folder {keyring.home.root} from "
        "a copy, or each lost file from where its content still is. To start again on purpose, remove all folders of this "
        "installation (docker compose down --volumes) with every database: new keys cannot read what the old ones encrypted."
    )


def _copies(keyring: Keyring, *, secrets: Path, public: Path) -> Iterator[tuple[Path, Path]]:
    """The files of a keyring that are made without being asked for, each with a file that is written from it."""
    credentials = keyring.credentials_file
    for service in SERVICES:
        message_key = keyring.message_key_file(service)
        yield message_key, secrets / service / "message_key"
        yield message_key, public / keyring.trust_file.name
        for name, file in own_files(keyring)[service].items():
            yield file, secrets / service / name
        yield credentials, secrets / service / "database_url"
        yield credentials, secrets / service / "kafka_sasl_password"
        yield credentials, secrets / f"{service}-migrate" / "database_url"
        yield credentials, secrets / f"{service}-migrate" / "database_migration_url"
    for reader, name in (
        ("databases", "superuser_url"),
        ("databases", "role_passwords"),
        ("topics", "kafka_passwords"),
        ("kafka", "server.properties"),
        ("kafka", "scram"),
        ("postgres", "superuser_password"),
    ):
        yield credentials, secrets / reader / name
    yield keyring.kafka_cluster_id_file, secrets / "kafka" / "cluster_id"
    own = (keyring.message_key_file(GAME_SERVER), keyring.message_key_file(IDENTITY), keyring.token_key_file)
    for file in (*own, credentials):
        yield file, secrets / "tools" / file.relative_to(keyring.home.root)
    for file in (keyring.stellar_file, keyring.channel_secrets_file):
        yield file, secrets / "chain" / file.relative_to(keyring.home.root)
    yield keyring.stellar_file, secrets / "signer" / "payout_hot_signer_secret"
    yield keyring.stellar_file, public / "payout_source_account"
    yield keyring.channel_secrets_file, public / "stellar_channel_accounts"
    yield keyring.token_key_file, public / keyring.jwks_file.name
    for file in (keyring.trust_file, keyring.jwks_file, keyring.player_sources_file):
        yield file, public / file.name
