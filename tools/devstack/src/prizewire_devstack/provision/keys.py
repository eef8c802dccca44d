"""Write what each reader may read: secrets into a folder of its own, public configuration into one that all read.

The keyring itself stays in the folder `keys`. Only the user that runs the command reads it.
"""

import json
import os
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from prizewire_devstack.components import gateway
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.stellar import stellar_assets
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import OWNER_ONLY_DIRECTORY, Home
from prizewire_devstack.provision.lost import refuse_lost
from prizewire_devstack.provision.readers import (
    FAKE_WEBHOOK_SECRET,
    GRAFANA,
    SECRETS_PATH,
    STATE_PATH,
    STATES,
    Addresses,
    grafana,
    readers,
)
from prizewire_devstack.routes import SERVICES_WITH_API
from prizewire_devstack.stack.environment import rails

KEYS: Final = "keys"
SECRETS: Final = "secrets"
PUBLIC: Final = "public"
STATE: Final = "state"
READER_ONLY: Final = 0o400
EVERYBODY_READS: Final = 0o444
EVERYBODY_ENTERS: Final = 0o755
SERVICE_PORT: Final = 8080
"""The port of every process of Prizewire in a container."""
ROOT: Final = 0


def provision_keys(
    *,
    directory: Path,
    addresses: Addresses,
    assets: Path | None,
    only: Collection[str],
    now: datetime,
    valid: timedelta,
    number: int,
) -> list[str]:
    """Make the keys that are missing, and write every reader's files again; returns the names of the readers.

    `only` names the readers to write, where it is not empty; Grafana is only written where it is named. `assets` is the file assets.yaml, to be copied.
    `valid` and `number` are as for `Keyring.ensure`, and hold for the message keys that are made now.

    Raises:
        DevstackError: there is no such reader, or the directory cannot be written, or a key is lost that a reader still has. In the
            last case no file was changed.
    """
    home = Home(root=directory / KEYS)
    keyring = Keyring(home=home)
    refuse_lost(keyring, secrets=directory / SECRETS, public=directory / PUBLIC, only=only)
    home.create()
    if set(only) != {GRAFANA}:
        keyring.ensure(now=now, valid=valid, number=number)
        found = {one.name: one for one in readers(keyring, addresses)}
    else:
        found = {}
    if GRAFANA in only:
        keyring.ensure_grafana_password()
        found[GRAFANA] = grafana(keyring)
    if unknown := set(only) - found.keys():
        raise DevstackError(f"There is no reader {', '.join(sorted(unknown))}: there are {', '.join(found)}.")
    chosen = [found[name] for name in found if not only or name in only]
    made_at_s = min(file.stat().st_mtime for file in home.keys.iterdir())
    for reader in chosen:
        write_files(
            directory / SECRETS / reader.name,
            reader.files,
            user=reader.user,
            mode=READER_ONLY,
            made_at_s=made_at_s,
        )
    if not only:
        public = {
            **_public(keyring, addresses),
            **({} if assets is None else {"assets.yaml": assets.read_text()}),
        }
        write_files(directory / PUBLIC, public, user=None, mode=EVERYBODY_READS, made_at_s=made_at_s)
        for name, user in STATES.items():
            _make_state(directory / STATE / name, user=user)
    return [reader.name for reader in chosen]


def _public(keyring: Keyring, addresses: Addresses) -> dict[str, str]:
    """The public configuration, by file name."""
    stellar = keyring.stellar()
    caddy = gateway.configuration(
        port=SERVICE_PORT,
        service_ports=dict.fromkeys(SERVICES_WITH_API, (SERVICE_PORT,)),
        listen="",
        hosts={service: service for service in SERVICES_WITH_API},
    )
    copied = (keyring.trust_file, keyring.jwks_file, keyring.player_sources_file)
    return {
        **{file.name: file.read_text() for file in copied},
        "rails.yaml": rails(
            STATE_PATH,
            webhook_secret_file=SECRETS_PATH / FAKE_WEBHOOK_SECRET,
            gateway_url=addresses.gateway,
        ),
        "caddy.json": json.dumps(caddy, indent=1),
        "payout_source_account": stellar.treasury.public_key,
        "stellar_channel_accounts": ",".join(channel.public_key for channel in stellar.channels),
        "stellar_assets": stellar_assets(stellar),
    }


def write_files(
    directory: Path, files: Mapping[str, str], *, user: int | None, mode: int, made_at_s: float
) -> None:
    """Write the files of a directory, each in one step, and remove all others. They belong to `user`, if root writes them.

    Their time is that of the keys, so that nothing looks new after the command was repeated.
    """
    for name, text in files.items():
        _write(directory / name, text.rstrip("\n") + "\n", user=user, mode=mode, made_at_s=made_at_s)
    for stale in _files_below(directory) - {directory / name for name in files}:
        stale.unlink()


def _files_below(directory: Path) -> set[Path]:
    return {path for path in directory.rglob("*") if path.is_file()}


def _write(path: Path, text: str, *, user: int | None, mode: int, made_at_s: float) -> None:
    _make_folders(path.parent)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.utime(file.fileno(), (made_at_s, made_at_s))
        if user is not None and os.geteuid() == ROOT:
            os.fchown(file.fileno(), user, user)
    fresh.replace(path)


def _make_folders(directory: Path) -> None:
    """Folders that the reader may enter. The volume of each reader is mounted into its own container only."""
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir()
        one.chmod(EVERYBODY_ENTERS)


def _make_state(directory: Path, *, user: int) -> None:
    """The folder of what a process stores belongs to its user."""
    directory.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_DIRECTORY)
    if os.geteuid() == ROOT:
        os.chown(directory, user, user)
