"""Payout details that a request names itself, sealed for payouts: no other service can read them afterwards.

The box is libsodium's sealed box (anonymous sender, X25519 and XSalsa20-Poly1305). Its key is a message key of payouts with the
use ``seal`` in ``trust.json``, in the Curve25519 form that libsodium derives from an Ed25519 key.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import orjson
from nacl.exceptions import CryptoError
from nacl.public import SealedBox
from nacl.signing import SigningKey, VerifyKey

from prizewire_contracts.canonical import canonical_bytes

SALT_BYTES = 32


class NotOpened(Exception):
    """A box was not sealed for this key, was changed, or holds something else than payout details."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineDetails:
    """The destination that a payout request names itself. ``type`` is a method type, ``details`` its details in their stored
    form, ``salt`` (32 bytes) that of the commitment in the intent. ``payout_id`` binds the box to one payout.
    """

    payout_id: UUID
    type: str
    details: Mapping[str, str] = field(repr=False)
    salt: bytes = field(repr=False)


def seal(inline: InlineDetails, *, key: VerifyKey) -> str:
    """The box as base64."""
    plain = canonical_bytes(
        {
            "payout_id": str(inline.payout_id),
            "type": inline.type,
            "details": dict(inline.details),
            "salt": inline.salt.hex(),
        }
    )
    return base64.b64encode(SealedBox(key.to_curve25519_public_key()).encrypt(plain)).decode()


def open_sealed(box: str, *, key: SigningKey) -> InlineDetails:
    """What is in a box.

    Raises:
        NotOpened: see the class; the text never holds the details.
    """
    try:
        sealed = base64.b64decode(box, validate=True)
        plain = orjson.loads(SealedBox(key.to_curve25519_private_key()).decrypt(sealed))
        inline = InlineDetails(
            payout_id=UUID(plain["payout_id"]),
            type=plain["type"],
            details=plain["details"],
            salt=bytes.fromhex(plain["salt"]),
        )
    except (binascii.Error, CryptoError):
        msg = "the box was not sealed for this key, or was changed since"
        raise NotOpened(msg) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        msg = "the box holds no payout details"
        raise NotOpened(msg) from None
    texts = [inline.type, *inline.details.values()] if isinstance(inline.details, dict) else [None]
    if len(inline.salt) != SALT_BYTES or not all(isinstance(one, str) for one in texts):
        msg = "the box holds no payout details"
        raise NotOpened(msg)
    return inline
