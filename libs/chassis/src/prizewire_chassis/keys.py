"""Message keys and trusted producers, read from mounted files."""

from pathlib import Path

from prizewire_contracts.trust import MessageKey, TrustStore


class UnsafeKeyFile(Exception):
    """A key file is missing or readable by others, or a key is not given by a file. The message says what to do."""


def read_secret(path: Path) -> str:
    """The text of a secret file, stripped.

    Raises:
        UnsafeKeyFile: the file is missing, or its mode lets group or others read it.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UnsafeKeyFile(f"the key file {path.name} cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise UnsafeKeyFile(f"the key file {path.name} is readable by others: run chmod 600 on it")
    return path.read_text().strip()


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
