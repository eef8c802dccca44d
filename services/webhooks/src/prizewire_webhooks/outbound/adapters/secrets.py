"""Subscribers' secrets at rest: AES-256-GCM under one key of this service, bound to their subscription."""

import base64
import hashlib
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from prizewire_webhooks.outbound.domain.model import SealedSecret

_NONCE_BYTES = 12
_KEY_HEX_CHARS = 64
_SECRET_BYTES = 32
"""Standard Webhooks wants 24 to 64."""


class KeyMalformed(Exception):
    """The key file does not hold 64 hexadecimal digits."""


class UnreadableSecret(Exception):
    """A stored secret does not open under the mounted key."""


def new_secret() -> str:
    """A fresh signing secret as Standard Webhooks writes it: ``whsec_`` and base64."""
    return "whsec_" + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


class SecretBox:
    """``ports.Sealer`` and its inverse."""

    def __init__(self, key_hex: str) -> None:
        """Take the key as 64 hexadecimal digits.

        Raises:
            KeyMalformed: they are not.
        """
        try:
            key = bytes.fromhex(key_hex)
        except ValueError:
            key = b""
        if len(key_hex) != _KEY_HEX_CHARS or len(key) * 2 != _KEY_HEX_CHARS:
            raise KeyMalformed
        self._cipher = AESGCM(key)
        self.key_id = hashlib.sha256(b"prizewire webhook key id" + key).hexdigest()[:16]

    def seal(self, secret: str, *, subscription_id: UUID) -> SealedSecret:
        """See the port."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret.encode(), subscription_id.bytes)
        return SealedSecret(subscription_id=subscription_id, key_id=self.key_id, sealed=sealed)

    def open(self, secret: SealedSecret) -> str:
        """The secret in clear.

        Raises:
            UnreadableSecret: another key, another subscription, or changed bytes.
        """
        nonce, sealed = secret.sealed[:_NONCE_BYTES], secret.sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, sealed, secret.subscription_id.bytes).decode()
        except (InvalidTag, ValueError):
            raise UnreadableSecret(
                f"a secret of {secret.subscription_id} needs key {secret.key_id}"
            ) from None
