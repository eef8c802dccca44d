"""Sealed details of payout methods, and address formats of chains.

Details are encrypted, bound to their method, and compared only with the key. One 32-byte key, read from a file of 64 hex
digits, yields three keys by HKDF: one encrypts (AES-256-GCM with a random 96-bit nonce, the method id as associated data),
one marks destinations, and one marks the rows of attempts (both HMAC-SHA256). So no key serves for another's purpose.
"""

import hmac
import os
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from stellar_sdk import MuxedAccount, StrKey

from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.intents import commitment
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.methods.ports import OpenedDetails


def stellar_address_kind(address: str, *, own: AbstractSet[str] = frozenset()) -> str | None:
    """``account`` for G…, ``muxed`` for M…, ``contract`` for C…, None for anything else (SEP-23 strkeys).

    ``own`` for an account in ``own``, plain or muxed: Prizewire's own treasury or channels.
    """
    if StrKey.is_valid_ed25519_public_key(address):
        return "own" if address in own else "account"
    if StrKey.is_valid_med25519_public_key(address):
        # checked with the parser of the SDK too: a muxed key holds an account key, which must be valid
        account = MuxedAccount.from_account(address).account_id
        if not account:
            return None
        return "own" if account in own else "muxed"
    if StrKey.is_valid_contract(address):
        return "contract"
    return None


SALT_BYTES = 32
_NONCE_BYTES = 12
_HEX_KEY = re.compile(r"[0-9a-f]{64}")


class DetailsVault:
    """`prizewire_payouts.methods.ports.Vault` with keys derived from one secret. Its text never has a key."""

    def __init__(self, *, key_hex: str) -> None:
        """Take the key as 64 lower-case hex digits.

        Raises:
            ValueError: the text has another form; the message does not repeat it.
        """
        if not _HEX_KEY.fullmatch(key_hex):
            msg = "the method encryption key is not 64 lower-case hex digits"
            raise ValueError(msg)
        secret = bytes.fromhex(key_hex)
        self._cipher = AESGCM(_derived(secret, b"details"))
        self._mac_key = _derived(secret, b"destination")
        self._row_key = _derived(secret, b"attempts")
        self._key_id = sha256(b"prizewire:method-key-id\n" + self._mac_key).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"DetailsVault({self._key_id})"

    @property
    def key_id(self) -> str:
        """See the port: it differs for each key and shows nothing of it."""
        return self._key_id

    def salt(self) -> bytes:
        """See the port."""
        return os.urandom(SALT_BYTES)

    def seal(self, *, method_id: UUID, opened: OpenedDetails) -> bytes:
        """See the port."""
        nonce = os.urandom(_NONCE_BYTES)
        plain = orjson.dumps({"details": dict(opened.details), "salt": opened.salt.hex()})
        return nonce + self._cipher.encrypt(nonce, plain, method_id.bytes)

    def open(self, *, method: Method) -> OpenedDetails:
        """See the port."""
        nonce, sealed = method.sealed[:_NONCE_BYTES], method.sealed[_NONCE_BYTES:]
        try:
            plain = orjson.loads(self._cipher.decrypt(nonce, sealed, method.method_id.bytes))
        except InvalidTag:
            msg = (
                f"the details of method {method.method_id} were not sealed by this key, or were changed since"
            )
            raise ValueError(msg) from None
        return OpenedDetails(details=plain["details"], salt=bytes.fromhex(plain["salt"]))

    def destination_mac(self, *, method_type: str, details: Mapping[str, Any]) -> bytes:
        """See the port."""
        return hmac.digest(self._mac_key, canonical_bytes([method_type, dict(details)]), "sha256")

    def row_mac(self, message: bytes) -> bytes:
        """The MAC of a row's content. A person who can write rows cannot compute it."""
        return hmac.digest(self._row_key, message, "sha256")

    def commitment(self, *, opened: OpenedDetails) -> str:
        """See the port."""
        return commitment(salt=opened.salt, details=dict(opened.details))


def _derived(secret: bytes, purpose: bytes) -> bytes:
    info = b"prizewire:methods:v1\n" + purpose
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)
