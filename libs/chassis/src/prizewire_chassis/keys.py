"""Message keys and trusted producers, read from mounted files."""

import os
import stat
from pathlib import Path

from prizewire_contracts.trust import MessageKey, TrustStore


class UnsafeKeyFile(Exception):
    """A key file is missing or readable by others, or a key is not given by a file. The message says what to do."""


def read_secret(path: Path) -> str:
    """The text of a secret file, stripped.

    Raises:
        UnsafeKeyFile: the file cannot be read, or its mode gives others more than ``is_private`` allows.
    """
    try:
        found, text = path.stat(), path.read_text()
    except OSError as error:
        raise UnsafeKeyFile(f"the key file {path.name} cannot be read: {error.strerror}") from None
    if not is_private(found, user=os.geteuid()):
        raise UnsafeKeyFile(f"the key file {path.name} is readable by others: run chmod 600 on it")
    return text.strip()


def is_private(file: os.stat_result, *, user: int) -> bool:
    """Say whether nobody but ``user`` and the owner of a file may read it.

    Where another user owns the file, its group may read it too: so Kubernetes gives secrets to a process that is not root
    (``fsGroup``). PostgreSQL has this rule for its key files (documentation, "Secure TCP/IP Connections with SSL").
    """
    allowed = stat.S_IRWXU if file.st_uid == user else stat.S_IRWXU | stat.S_IRGRP
    return not stat.S_IMODE(file.st_mode) & ~allowed & (stat.S_IRWXG | stat.S_IRWXO)


def read_secret_of(variable: str, path: Path) -> str:
    """The text of the secret file that an environment variable names.

    Raises:
        UnsafeKeyFile: as ``read_secret``. The message does not repeat the name of a missing file: it may be the secret.
    """
    try:
        path.stat()
    except (OSError, ValueError):
        raise UnsafeKeyFile(
            f"{variable} names a file that does not exist: set it to the path of the file"
        ) from None
    return read_secret(path)


def load_message_key(path: Path) -> MessageKey:
    """This service's Ed25519 message key.

    Raises:
        UnsafeKeyFile: see ``read_secret``.
    """
    return MessageKey.from_json(read_secret(path))


def load_trust(path: Path) -> TrustStore:
    """The pinned public keys of ``trust.json``.

    Raises:
        ValueError: the file is malformed.
    """
    return TrustStore.from_json(path.read_text())
