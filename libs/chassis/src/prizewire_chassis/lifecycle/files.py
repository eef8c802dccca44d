"""The files that a service's settings name, read as its start reads them, without starting it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prizewire_chassis.assets import read_assets
from prizewire_chassis.kafka import tls_context
from prizewire_chassis.keys import UnsafeKeyFile, load_message_key, load_trust
from prizewire_chassis.lifecycle.tokens import token_reader
from prizewire_chassis.settings import ApiSettings, ConfigurationError, ServiceSettings
from prizewire_contracts.trust import MessageKey, TrustStore


@dataclass(frozen=True, slots=True)
class FileCheck:
    """``read`` takes the settings and reads the files that the fields ``names`` name, as the start does. It raises
    ``ConfigurationError`` or ``UnsafeKeyFile`` where the start would. ``secret`` says that they are secrets.
    """

    names: Sequence[str]
    read: Callable[[Any], object]
    secret: bool = False


def read_message_key(path: Path) -> MessageKey:
    """This service's message key.

    Raises:
        ConfigurationError: the file is malformed.
        UnsafeKeyFile: it is missing or readable by others.
    """
    try:
        return load_message_key(path)
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f'MESSAGE_KEY_FILE {path.name} is no message key: {{"keyid": …, "private_key": 64 hexadecimal digits}}'
        ) from None


def read_trust(path: Path) -> TrustStore:
    """The public keys of ``trust.json``.

    Raises:
        ConfigurationError: the file is missing or malformed.
    """
    try:
        return load_trust(path)
    except OSError as error:
        raise ConfigurationError(f"TRUST_FILE {path.name} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"TRUST_FILE {path.name}: {error}") from None


COMMON: Final = (
    FileCheck(["assets_file"], lambda settings: read_assets(settings.assets_file)),
    FileCheck(
        ["message_key_file"], lambda settings: read_message_key(settings.message_key_file), secret=True
    ),
    FileCheck(["trust_file"], lambda settings: read_trust(settings.trust_file)),
    FileCheck(["kafka_ca_file"], tls_context),
)
TOKENS: Final = FileCheck(["jwt_jwks_file"], token_reader)


def refusals(
    settings: ServiceSettings, checks: Sequence[FileCheck], *, present_only: bool = False
) -> Iterator[str]:
    """A sentence for each file that would stop the start. With ``present_only``, files that are missing, and secrets, which may be
    stand-ins, are passed over.
    """
    tokens = [TOKENS] if isinstance(settings, ApiSettings) else []
    said: set[str] = set()
    for check in (*COMMON, *tokens, *checks):
        paths = [path for name in check.names if (path := getattr(settings, name)) is not None]
        if present_only and (check.secret or not all(path.exists() for path in paths)):
            continue
        try:
            check.read(settings)
        except UnsafeKeyFile as error:
            sentence = "" if present_only else str(error)
        except ConfigurationError as error:
            sentence = str(error)
        else:
            continue
        if sentence and sentence not in said:
            said.add(sentence)
            yield sentence
