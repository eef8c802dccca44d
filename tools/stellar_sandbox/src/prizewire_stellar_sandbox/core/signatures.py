"""Whether a transaction's signatures reach the weight that an account asks for.

The rules are those of the protocol: signers of four kinds, tried in the order pre-authorized transaction,
hash(x), ed25519, signed payload; each signer counts once; a signature that nothing used makes the
transaction invalid (txBAD_AUTH_EXTRA).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from stellar_sdk import Keypair
from stellar_sdk.exceptions import BadSignatureError

from prizewire_stellar_sandbox.core.frames import Signature
from prizewire_stellar_sandbox.core.model import Account, AccountId, Signer

_WEIGHT_MAX: Final = 255

# SignerKeyType of Stellar-types.x, as the first four bytes of a SignerKey.
_ED25519: Final = (0).to_bytes(4, "big")
_PRE_AUTH_TX: Final = (1).to_bytes(4, "big")
_HASH_X: Final = (2).to_bytes(4, "big")
_SIGNED_PAYLOAD: Final = (3).to_bytes(4, "big")


def ed25519_signer(account_id: AccountId) -> bytes:
    """The SignerKey of a public key."""
    return _ED25519 + account_id


def pre_auth_signer(transaction_hash: bytes) -> bytes:
    """The SignerKey that stands for one transaction, authorized beforehand."""
    return _PRE_AUTH_TX + transaction_hash


def is_empty_payload(signer_key: bytes) -> bool:
    """A signed-payload signer without a payload, which the protocol refuses."""
    return signer_key[:4] == _SIGNED_PAYLOAD and len(_payload(signer_key)) == 0


@lru_cache(maxsize=16_384)
def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Check a signature. Cached: one transaction is judged at submission, at selection and at apply."""
    try:
        Keypair.from_raw_ed25519_public_key(public_key).verify(message, signature)
    except (BadSignatureError, ValueError):
        return False
    return True


class SignatureChecker:
    """Judges accounts against the signatures of one transaction, and remembers which of them were of use."""

    def __init__(self, *, transaction_hash: bytes, signatures: Sequence[Signature]) -> None:
        self._hash = transaction_hash
        self._signatures = signatures
        self._used = [False] * len(signatures)

    def account_allows(self, account: Account, *, threshold: int) -> bool:
        """Whether the account's signers who signed weigh at least the threshold (at least one must sign)."""
        signers = list(account.signers)
        if account.thresholds[0]:
            signers.insert(0, Signer(ed25519_signer(account.account_id), account.thresholds[0]))
        return self.allows(signers, threshold=threshold)

    def allows(self, signers: Sequence[Signer], *, threshold: int) -> bool:
        """Whether those of the signers who signed weigh at least the threshold."""
        weight = 0
        for signer in signers:
            if signer.key == _PRE_AUTH_TX + self._hash:
                weight += min(signer.weight, _WEIGHT_MAX)
                if weight >= threshold:
                    return True
        for kind, matches in _KINDS:
            waiting = [signer for signer in signers if signer.key[:4] == kind]
            for index, signature in enumerate(self._signatures):
                for signer in waiting:
                    if matches(signer.key, signature, self._hash):
                        self._used[index] = True
                        weight += min(signer.weight, _WEIGHT_MAX)
                        if weight >= threshold:
                            return True
                        waiting.remove(signer)
                        break
        return False

    def all_used(self) -> bool:
        """Whether every signature counted for something."""
        return all(self._used)


def _ed25519_matches(key: bytes, signature: Signature, transaction_hash: bytes) -> bool:
    public_key = key[4:]
    return signature.hint == public_key[-4:] and verify_ed25519(
        public_key, transaction_hash, signature.signature
    )


def _hash_x_matches(key: bytes, signature: Signature, _transaction_hash: bytes) -> bool:
    return signature.hint == key[-4:] and hashlib.sha256(signature.signature).digest() == key[4:]


def _payload(key: bytes) -> bytes:
    length = int.from_bytes(key[36:40], "big")
    return key[40 : 40 + length]


def _signed_payload_matches(key: bytes, signature: Signature, _transaction_hash: bytes) -> bool:
    public_key, payload = key[4:36], _payload(key)
    # CAP-40: the hint is the key's, XORed with the last four bytes of the payload (zeros after a shorter one).
    tail = payload[-4:].ljust(4, b"\0")
    hint = bytes(a ^ b for a, b in zip(public_key[-4:], tail, strict=True))
    return signature.hint == hint and verify_ed25519(public_key, payload, signature.signature)


_Matches = Callable[[bytes, Signature, bytes], bool]
_KINDS: Final[tuple[tuple[bytes, _Matches], ...]] = (
    (_HASH_X, _hash_x_matches),
    (_ED25519, _ed25519_matches),
    (_SIGNED_PAYLOAD, _signed_payload_matches),
)
