"""A treasury key and channel keys held in memory, behind two explicit switches."""

from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from stellar_sdk import StrKey

from prizewire_signer.errors import BackendCode, BackendError

PUBLIC_NETWORK: Final = "Public Global Stellar Network ; September 2015"
"""The passphrase of the public network, where lumens are money (Stellar documentation, "Networks")."""


class HotKeysRefused(Exception):
    """Hot keys are not allowed here, or a secret is malformed: the signer does not start. The message has no part of a secret."""


class HotKeys:
    """Ed25519 keys in memory. Its text never has a key."""

    def __init__(self, keys: Iterable[Ed25519PrivateKey]) -> None:
        self._keys = {key.public_key().public_bytes_raw(): key for key in keys}

    def __repr__(self) -> str:
        return f"HotKeys({len(self._keys)} keys)"

    def public_keys(self) -> frozenset[bytes]:
        """The public keys that it can sign with."""
        return frozenset(self._keys)

    async def sign(self, public_key: bytes, tx_hash: bytes) -> bytes:
        """The signature of a transaction's hash.

        Raises:
            BackendError: ``key_unknown``.
        """
        key = self._keys.get(public_key)
        if key is None:
            raise BackendError(BackendCode.KEY_UNKNOWN, public_key.hex())
        return key.sign(tx_hash)


def open_hot_keys(secrets: Iterable[str], *, network: str, allowed: bool, allowed_on_public: bool) -> HotKeys:
    """Hot keys from their S… secrets.

    Raises:
        HotKeysRefused: ``SIGNER_ALLOW_HOT_KEY`` is not set, the network is the public one and
            ``SIGNER_ALLOW_HOT_KEY_ON_PUBLIC`` is not set too, or a secret is malformed.
    """
    if not allowed:
        raise HotKeysRefused("a hot key is for development only: set SIGNER_ALLOW_HOT_KEY=true to use it")
    if network == PUBLIC_NETWORK and not allowed_on_public:
        raise HotKeysRefused(
            "a hot key on the public network moves real money: set SIGNER_ALLOW_HOT_KEY_ON_PUBLIC=true too to use it"
        )
    return HotKeys(_key(secret, number) for number, secret in enumerate(secrets, 1))


def _key(secret: str, number: int) -> Ed25519PrivateKey:
    try:
        seed = StrKey.decode_ed25519_secret_seed(secret)
    except ValueError:
        raise HotKeysRefused(
            f"secret number {number} is no Stellar secret key: give one that begins with S"
        ) from None
    return Ed25519PrivateKey.from_private_bytes(seed)
