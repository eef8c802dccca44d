"""The keyed hash of facts."""

import hashlib
import hmac
import re

_KEY = re.compile(r"[0-9a-f]{64}")


_TAG = "prizewire.player."


class KeyedHasher:
    """HMAC-SHA256 under a key of this service, over the fact's name and the plain SHA-256 of its value."""

    def __init__(self, *, key_hex: str) -> None:
        """Read the key.

        Raises:
            ValueError: the key is not 64 lower-case hex digits.
        """
        if not _KEY.fullmatch(key_hex):
            msg = "the key of players' hashes must be 64 lower-case hex digits"
            raise ValueError(msg)
        self._key = bytes.fromhex(key_hex)

    def raw(self, fact: str, value: str) -> str:
        """The keyed hash of a raw value."""
        return self.hashed(fact, hashlib.sha256(value.encode()).hexdigest())

    def hashed(self, fact: str, digest: str) -> str:
        """The keyed hash of a value that arrived as its SHA-256 in hex."""
        return hmac.new(self._key, f"{_TAG}{fact}:{digest}".encode(), hashlib.sha256).hexdigest()
