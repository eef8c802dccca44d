"""Public keys of access tokens: a JWKS (RFC 7517) out of a file or from a URL, read again as it changes.

Two kinds of key count: Ed25519, for EdDSA, and RSA of at least 2048 bits, for RS256. A key's kind decides the algorithm
that its tokens have; the algorithm in a token decides nothing. Other public keys of a set are skipped, since
identity providers publish more than is needed here. A set that holds a private or a symmetric key is refused whole:
it is a secret that was published by mistake.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import TOKEN_KEY_READS, TOKEN_KEYS
from prizewire_chassis.metrics.labels import TokenKeyRead

ALGORITHMS: Final = ("EdDSA", "RS256")
RSA_BITS_MIN: Final = 2048
FRESH_S: Final = 300.0
"""Older keys of a URL are fetched again. The old ones are used until then."""
KEPT_S: Final = 3600.0
"""Keys of a URL that could not be fetched for so long are not used any more."""
PAUSE_S: Final = 10.0
"""The minimum time between two requests to a URL, also where many tokens name unknown keys."""
FETCH_TIMEOUT_S: Final = 5.0
_log = get_logger(__name__)


for _outcome in TokenKeyRead:
    TOKEN_KEY_READS.labels(_outcome)  # Prometheus sees no increase in a counter that begins with 1


class TokenKeysMalformed(Exception):
    """A JWKS is malformed or has no usable key. The message is a sentence without any key."""


class TokenKeysUnavailable(Exception):
    """The keys are not known now: the URL has not answered for too long, or not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """A public key with the one algorithm of its tokens. The bounds are seconds since the epoch, None where open."""

    algorithm: str
    key: Ed25519PublicKey | RSAPublicKey
    not_before: float | None = None
    not_after: float | None = None

    def is_valid_at(self, moment: float) -> bool:
        """Whether the key is valid at a time (seconds since the epoch)."""
        begun = self.not_before is None or self.not_before <= moment
        return begun and (self.not_after is None or moment < self.not_after)


class KeySource(Protocol):
    """A source of public keys."""

    async def find(self, kid: str) -> TokenKey | None:
        """The key of that id, None where there is none.

        Raises:
            TokenKeysUnavailable: the keys are not known now.
        """
        ...


def read_keys(document: Any) -> dict[str, TokenKey]:
    """The usable keys of a JWKS, by ``kid``. A key may say from when to when it is good: ``nbf`` and ``exp``, in seconds
    since the epoch, as in a token.

    Raises:
        TokenKeysMalformed: it is no JWKS, it names one ``kid`` twice, or it holds a private or symmetric key.
    """
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise TokenKeysMalformed("it is no JWKS: an object with a list `keys` of objects is expected")
    if any("d" in entry or entry.get("kty") == "oct" for entry in entries):
        raise TokenKeysMalformed("it holds a private or symmetric key: publish public keys only")
    found: dict[str, TokenKey] = {}
    for entry in entries:
        kid, key = entry.get("kid"), _usable(entry)
        if key is None or not isinstance(kid, str) or not kid:
            continue
        if kid in found:
            raise TokenKeysMalformed(f"it names the key id {kid!r} twice: give each key an id of its own")
        found[kid] = key
    return found


def _usable(entry: dict[str, Any]) -> TokenKey | None:
    """The key of an entry; None where it is of another kind or for another use."""
    if entry.get("use", "sig") != "sig":
        return None
    try:
        if "verify" not in entry.get("key_ops", ["verify"]):
            return None
        made = jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    bounds = [entry.get(name) for name in ("nbf", "exp")]
    if not all(bound is None or type(bound) in (int, float) for bound in bounds):
        raise TokenKeysMalformed("a key's nbf and exp are numbers of seconds since the epoch")
    key = made.key
    strong = isinstance(key, Ed25519PublicKey) or (
        isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS_MIN
    )
    if made.algorithm_name not in ALGORITHMS or not strong:
        return None
    return TokenKey(algorithm=made.algorithm_name, key=key, not_before=bounds[0], not_after=bounds[1])


class FileKeys:
    """``KeySource`` over a mounted file. It is read again when it changes. While it cannot be read, the former keys are used."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            TokenKeysMalformed: it cannot be read, or holds no usable key.
        """
        self._path = path
        self._seen = self._mark()
        self._keys = self._read()
        if not self._keys:
            raise TokenKeysMalformed("it holds no Ed25519 key and no RSA key of 2048 bits with a key id")
        TOKEN_KEYS.set(len(self._keys))

    async def find(self, kid: str) -> TokenKey | None:
        """See the port."""
        if (mark := self._mark()) != self._seen:
            self._seen = mark
            self._reread()
        return self._keys.get(kid)

    def _mark(self) -> tuple[int, int, int] | None:
        """A value that changes with the file; None where there is no file. A mounted secret changes by its symbolic link."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> dict[str, TokenKey]:
        try:
            return read_keys(json.loads(self._path.read_bytes()))
        except OSError as error:
            raise TokenKeysMalformed(f"it cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError):
            raise TokenKeysMalformed("it is not JSON") from None

    def _reread(self) -> None:
        try:
            self._keys = self._read()
        except TokenKeysMalformed as error:
            TOKEN_KEY_READS.labels(TokenKeyRead.FAILED).inc()
            _log.error(
                "token keys not read; the former keys are used", file=self._path.name, error=str(error)
            )
            return
        TOKEN_KEY_READS.labels(TokenKeyRead.READ).inc()
        TOKEN_KEYS.set(len(self._keys))
        _log.info("token keys read again", file=self._path.name, keys=sorted(self._keys))


class UrlKeys:
    """``KeySource`` over a URL. It sends one request at a time in a thread, at least ``PAUSE_S`` apart. Only a token with an
    unknown key waits for the answer.
    """

    def __init__(self, url: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_TIMEOUT_S)
        self._monotonic = monotonic
        self._keys: dict[str, TokenKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> TokenKey | None:
        """See the port."""
        now = self._monotonic()
        if kid not in self._keys or self._age(now) > FRESH_S:
            self._begin(now)
        if kid not in self._keys and self._fetching is not None:
            await asyncio.wait([self._fetching], timeout=FETCH_TIMEOUT_S)
        if self._age(self._monotonic()) > KEPT_S:
            raise TokenKeysUnavailable
        return self._keys.get(kid)

    def _age(self, now: float) -> float:
        return float("inf") if self._fetched_at is None else now - self._fetched_at

    def _begin(self, now: float) -> None:
        """Start to fetch, unless a request is running or was sent less than ``PAUSE_S`` ago."""
        if self._fetching is not None or (self._tried_at is not None and now - self._tried_at < PAUSE_S):
            return
        self._tried_at = now
        self._fetching = asyncio.create_task(self._fetch(), name="token keys")

    async def _fetch(self) -> None:
        try:
            keys = read_keys(await asyncio.to_thread(self._client.fetch_data))
        except (jwt.PyJWTError, TokenKeysMalformed, OSError, ValueError, RecursionError) as error:
            TOKEN_KEY_READS.labels(TokenKeyRead.FAILED).inc()
            _log.warning("token keys not fetched", error=str(error))
        else:
            TOKEN_KEY_READS.labels(TokenKeyRead.READ).inc()
            TOKEN_KEYS.set(len(keys))
            self._keys, self._fetched_at = keys, self._monotonic()
        finally:
            self._fetching = None
