"""Tokens of the local stack: signed with a development key that only this command reads.

The services have its public half, as a JWKS: none of them can make a token.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm

ISSUER: Final = "prizewire-dev"
AUDIENCE: Final = "prizewire"
ALGORITHM: Final = "EdDSA"
ROLES: Final = ("player", "organizer", "operator", "approver", "admin")
VALID_DEFAULT: Final = timedelta(hours=12)
_KID_HEX_CHARS: Final = 16


def new_key() -> str:
    """A fresh private key, as PEM."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()


def public_keys(key_file: Path) -> dict[str, Any]:
    """The JWKS of a private key: what the services are given."""
    public = _private(key_file).public_key()
    entry: dict[str, Any] = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {"keys": [{**entry, "kid": _kid(public), "alg": ALGORITHM, "use": "sig"}]}


def issue(
    *, key_file: Path, subject: str, roles: Iterable[str], now: datetime, valid: timedelta = VALID_DEFAULT
) -> str:
    """Issue a token for `subject` with `roles`, valid from `now` for `valid`."""
    key = _private(key_file)
    claims = {
        "sub": subject,
        "roles": sorted(roles),
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": int(now.timestamp()),
        "exp": int((now + valid).timestamp()),
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": _kid(key.public_key())})


def _private(key_file: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey), "the key file was written by new_key"
    return key


def _kid(public: Ed25519PublicKey) -> str:
    """A name that is derived from the key, so that two keys never have the same name."""
    thumbprint = json.dumps(
        OKPAlgorithm.to_jwk(public, as_dict=True), sort_keys=True, separators=(",", ":")
    ).encode()
    return hashlib.sha256(thumbprint).hexdigest()[:_KID_HEX_CHARS]
