"""Keys in OpenBao or HashiCorp Vault: the transit engine signs, and no private key leaves the server.

The API is the same in both (OpenBao documentation, "Transit secrets engine (API)"). Signatures are Ed25519 over the hash itself,
as Stellar wants them. A key is used in one version, since each version is another account.
"""

import asyncio
import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import hvac
import requests
from hvac.exceptions import (
    Forbidden,
    InvalidPath,
    InvalidRequest,
    RateLimitExceeded,
    Unauthorized,
    VaultError,
)

from prizewire_chassis.keys import UnsafeKeyFile, read_secret
from prizewire_contracts.traces import HEADER, carried_trace
from prizewire_signer.errors import BackendCode, BackendError

KEY_TYPE: Final = "ed25519"
FIRST_VERSION: Final = 1
_NOT_FOUND: Final = "signing key not found"
"""The server's words for a key that does not exist, in an answer with status 400."""
Answer = TypeVar("Answer")


class KeysMalformed(Exception):
    """OPENBAO_KEYS cannot be read, or a key is not usable: the signer does not start. The message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitKey:
    """A key of the transit engine, in one version."""

    name: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitServer:
    """Where the keys are. The token's file is read for each request, so that a renewed token is used at once.

    ``ca_file`` is the authority of the server's certificate; without it the system's authorities hold.
    """

    url: str
    mount: str
    token_file: Path
    ca_file: Path | None = None
    timeout_s: int = 5

    def call(self, ask: Callable[[Any], Answer]) -> Answer:
        """Ask the server.

        Raises:
            BackendError: it does not answer, or refuses; with a stable code.
        """
        try:
            client = hvac.Client(
                url=self.url,
                token=read_secret(self.token_file),
                verify=True if self.ca_file is None else str(self.ca_file),
                timeout=self.timeout_s,
            )
            trace = carried_trace()
            if trace is not None:
                client.session.headers[HEADER] = trace
            return ask(client)
        except UnsafeKeyFile as error:
            raise BackendError(BackendCode.PERMISSION_DENIED, str(error)) from None
        except VaultError as error:
            raise _refused(error) from None
        except requests.RequestException as error:
            raise BackendError(BackendCode.UNAVAILABLE, type(error).__name__) from None


def _refused(error: VaultError) -> BackendError:
    """The server's refusal as an error of ours, without the address that hvac adds to its texts."""
    reasons = "; ".join(str(one).strip() for one in error.errors or ()) or type(error).__name__
    if isinstance(error, Forbidden | Unauthorized):
        return BackendError(BackendCode.PERMISSION_DENIED, reasons)
    if isinstance(error, RateLimitExceeded):
        return BackendError(BackendCode.THROTTLED, reasons)
    if isinstance(error, InvalidPath) or _NOT_FOUND in reasons:
        return BackendError(BackendCode.KEY_UNKNOWN, reasons)
    if isinstance(error, InvalidRequest):
        return BackendError(BackendCode.WRONG_KEY_TYPE, reasons)
    return BackendError(BackendCode.UNAVAILABLE, reasons)


class TransitKeys:
    """Ed25519 keys of a transit engine, by their public keys."""

    def __init__(self, server: TransitServer, keys: Mapping[bytes, TransitKey]) -> None:
        self._server = server
        self._keys = dict(keys)

    def __repr__(self) -> str:
        return f"TransitKeys({self._server.url}, {len(self._keys)} keys)"

    def public_keys(self) -> frozenset[bytes]:
        """The public keys that it can sign with."""
        return frozenset(self._keys)

    async def sign(self, public_key: bytes, tx_hash: bytes) -> bytes:
        """The signature of a transaction's hash.

        Raises:
            BackendError: ``key_unknown``, ``throttled``, ``unavailable``, ``permission_denied`` or ``wrong_key_type``; or
                ``signature_wrong`` where the answer has no signature.
        """
        key = self._keys.get(public_key)
        if key is None:
            raise BackendError(BackendCode.KEY_UNKNOWN, public_key.hex())
        return await asyncio.to_thread(self._sign, key, tx_hash)

    async def token_expires_at(self) -> datetime | None:
        """When the token ends, unless it is renewed; None for a token without an end.

        Raises:
            BackendError: the server does not answer, refuses, or answers without a time.
        """
        return await asyncio.to_thread(self._token_expires_at)

    def _token_expires_at(self) -> datetime | None:
        answer = self._server.call(lambda client: client.auth.token.lookup_self())
        try:
            said = answer["data"]["expire_time"]
            return None if said is None else datetime.fromisoformat(said)
        except (KeyError, TypeError, ValueError):
            raise BackendError(
                BackendCode.UNAVAILABLE, "the answer about the token has no expire_time"
            ) from None

    def _sign(self, key: TransitKey, tx_hash: bytes) -> bytes:
        answer = self._server.call(
            lambda client: client.secrets.transit.sign_data(
                name=key.name,
                hash_input=base64.b64encode(tx_hash).decode(),
                key_version=key.version,
                mount_point=self._server.mount,
            )
        )
        try:
            # `vault:v1:BASE64`, also from OpenBao
            return base64.b64decode(str(answer["data"]["signature"]).rpartition(":")[2], validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise BackendError(
                BackendCode.SIGNATURE_WRONG, f"the answer for {key.name} has no signature"
            ) from None


def parse_keys(text: str) -> tuple[TransitKey, ...]:
    """The comma list of ``NAME`` or ``NAME:VERSION`` in OPENBAO_KEYS; without a version the first one.

    Raises:
        KeysMalformed: it is empty, or an entry is malformed or stands twice.
    """
    found: list[TransitKey] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, version = part.partition(":")
        if not name or (colon and not (version.isdigit() and int(version) >= FIRST_VERSION)):
            raise KeysMalformed(f"OPENBAO_KEYS has {part!r}: write NAME or NAME:VERSION")
        key = TransitKey(name=name, version=int(version) if colon else FIRST_VERSION)
        if key in found:
            raise KeysMalformed(f"OPENBAO_KEYS names {part} twice")
        found.append(key)
    if not found:
        raise KeysMalformed(
            "OPENBAO_KEYS names no key: write the treasury's and those of the channels, NAME,NAME,…"
        )
    return tuple(found)


async def open_transit(server: TransitServer, keys: Sequence[TransitKey]) -> TransitKeys:
    """The keys, after their public halves were read.

    Raises:
        KeysMalformed: a key is no Ed25519 key, or does not have the version.
        BackendError: the server does not answer, or refuses.
    """
    return TransitKeys(server, {await asyncio.to_thread(_public_key, server, key): key for key in keys})


def _public_key(server: TransitServer, key: TransitKey) -> bytes:
    answer = server.call(
        lambda client: client.secrets.transit.read_key(name=key.name, mount_point=server.mount)
    )
    data = answer["data"]
    if data["type"] != KEY_TYPE:
        raise KeysMalformed(f"the key {key.name} is of type {data['type']}: Stellar signs with {KEY_TYPE}")
    version = data["keys"].get(str(key.version))
    if version is None:
        raise KeysMalformed(f"the key {key.name} has no version {key.version}")
    return base64.b64decode(version["public_key"])
