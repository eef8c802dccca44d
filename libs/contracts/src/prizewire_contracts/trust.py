"""Ed25519 message keys (RFC 8032, by libsodium): signing what we publish, and trusting only pinned producers.

``trust.json`` is read at start, reviewed like code, and never received over Kafka. Several keys of one service may
be valid at the same time, which is how a key is rotated.
"""

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from prizewire_contracts.canonical import render_checked
from prizewire_contracts.intents import EVENT_TAG
from prizewire_contracts.sealing import InlineDetails, open_sealed

_UNSIGNED = frozenset({"signature", "traceparent"})
USES = frozenset({"event", "intent", "approval", "quote", "seal", "audit-head"})


class NotTrusted(Exception):
    """A signature is missing, wrong, or by a key that is not pinned for this service, use and time.

    ``code`` is ``signature_missing``, ``signature_invalid`` or ``key_not_trusted``.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class MessageKey:
    """A service's own Ed25519 message key. It signs; its ``repr`` does not show it."""

    keyid: str
    _private: SigningKey = field(repr=False)

    @classmethod
    def from_seed(cls, *, keyid: str, seed: bytes) -> "MessageKey":
        """From the 32-byte Ed25519 seed."""
        return cls(keyid, SigningKey(seed))

    @classmethod
    def from_json(cls, text: str) -> "MessageKey":
        """From the key file: ``{"keyid": …, "private_key": <hex seed>}``."""
        document = json.loads(text)
        return cls.from_seed(keyid=document["keyid"], seed=bytes.fromhex(document["private_key"]))

    def sign(self, message: bytes) -> str:
        """The signature as 128 hex digits."""
        return self._private.sign(message).signature.hex()

    def open(self, box: str) -> InlineDetails:
        """What was sealed for this key.

        Raises:
            NotOpened: it was not, or was changed since.
        """
        return open_sealed(box, key=self._private)

    def derived(self, purpose: bytes) -> bytes:
        """The 32-byte key of a purpose: HKDF-Expand (SHA-256) of the seed. It shows nothing of the seed or of other purposes' keys."""
        return hmac.digest(bytes(self._private), b"prizewire:derived:v1\n" + purpose + b"\x01", "sha256")

    @property
    def public_key(self) -> str:
        """The public key as 64 hex digits."""
        return self._private.verify_key.encode().hex()


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """One pinned key: its service, what it may sign, and when."""

    keyid: str
    service: str
    uses: frozenset[str]
    public_key: VerifyKey
    not_before: datetime
    not_after: datetime


class TrustStore:
    """The pinned keys of ``trust.json``, by key id."""

    def __init__(self, keys: Iterable[TrustedKey]) -> None:
        self._keys: dict[str, TrustedKey] = {}
        for key in keys:
            if key.keyid in self._keys:
                msg = f"trust.json names the key {key.keyid!r} twice"
                raise ValueError(msg)
            self._keys[key.keyid] = key

    @classmethod
    def from_json(cls, text: str) -> "TrustStore":
        """Read ``trust.json``.

        Raises:
            ValueError: a field is missing or malformed, a time has no offset, a use is unknown, or a key id is used twice.
        """
        try:
            return cls(_trusted_key(entry) for entry in json.loads(text)["keys"])
        except (KeyError, TypeError) as error:
            msg = f"trust.json: a field is missing or of a wrong type: {error}"
            raise ValueError(msg) from None

    def verify(
        self,
        *,
        keyid: str | None,
        service: str,
        use: str,
        message: bytes,
        signature: str | None,
        at: datetime,
    ) -> None:
        """Check that ``service`` signed ``message`` for ``use`` with a key that was valid at ``at``.

        ``at`` is the time of the signed thing, so that old events remain valid after a rotation. A compromised key is removed from
        the file, which takes effect at once.

        Raises:
            NotTrusted: with its stable code.
        """
        if keyid is None or signature is None:
            raise NotTrusted("signature_missing", f"{use} of {service} carries no signature")
        key = self._keys.get(keyid)
        if key is None or key.service != service or use not in key.uses:
            raise NotTrusted("key_not_trusted", f"{keyid!r} is not pinned for {service}'s {use}")
        if not key.not_before <= at < key.not_after:
            raise NotTrusted("key_not_trusted", f"{keyid!r} was not valid at {at.isoformat()}")
        _verify(key.public_key, message, signature)

    def sealing_key(self, *, service: str, at: datetime) -> TrustedKey | None:
        """The newest key that things for a service are sealed with at this time; None if there is none."""
        fit = [
            key
            for key in self._keys.values()
            if key.service == service and "seal" in key.uses and key.not_before <= at < key.not_after
        ]
        return max(fit, key=lambda key: (key.not_before, key.keyid), default=None)


def _trusted_key(entry: Mapping[str, Any]) -> TrustedKey:
    keyid, service, public_key = (_text(entry, name) for name in ("keyid", "service", "public_key"))
    if not isinstance(entry["uses"], list):
        msg = f"uses of the key {keyid!r} is no list"
        raise TypeError(msg)
    uses = frozenset(entry["uses"])
    if not uses <= USES:
        msg = f"trust.json: the key {keyid!r} has unknown uses {sorted(uses - USES, key=str)}"
        raise ValueError(msg)
    return TrustedKey(
        keyid=keyid,
        service=service,
        uses=uses,
        public_key=_public_key(public_key),
        not_before=_moment(entry, "not_before"),
        not_after=_moment(entry, "not_after"),
    )


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str):
        msg = f"{name} is {type(value).__name__}, no text"
        raise TypeError(msg)
    return value


def _moment(entry: Mapping[str, Any], name: str) -> datetime:
    moment = datetime.fromisoformat(entry[name])
    if moment.tzinfo is None:
        # it could not be compared with an event's time: every event of the key would be refused
        msg = f"trust.json: {name} of the key {entry['keyid']!r} needs an offset"
        raise ValueError(msg)
    return moment


def event_signing_bytes(*, topic: str, raw: Mapping[str, Any]) -> bytes:
    """What an event's signature covers: tag, topic, and the envelope without ``signature`` and ``traceparent``.

    ``raw`` is the parsed JSON of an event that ``check_canonical`` has passed, as ``decode`` answers it.
    """
    bare = {name: value for name, value in raw.items() if name not in _UNSIGNED}
    return EVENT_TAG + topic.encode() + b"\n" + render_checked(bare)


def verify_raw(*, topic: str, raw: Mapping[str, Any], public_key: str) -> None:
    """Check an event's signature against one public key (64 hex digits), as competitions pin them.

    Raises:
        NotTrusted: ``signature_missing`` or ``signature_invalid``.
    """
    signature = raw.get("signature")
    if not isinstance(signature, str):
        raise NotTrusted("signature_missing", "the event carries no signature")
    try:
        key = _public_key(public_key)
    except ValueError:
        raise NotTrusted("key_not_trusted", "the pinned public key is not an Ed25519 key") from None
    _verify(key, event_signing_bytes(topic=topic, raw=raw), signature)


def _public_key(text: str) -> VerifyKey:
    if any(digit.isspace() for digit in text):
        msg = "a public key is hexadecimal digits without white space"
        raise ValueError(msg)
    try:
        return VerifyKey(bytes.fromhex(text))
    except CryptoError as error:
        raise ValueError(str(error)) from None


def _verify(key: VerifyKey, message: bytes, signature: str) -> None:
    try:
        key.verify(message, bytes.fromhex(signature))
    except (CryptoError, ValueError):
        raise NotTrusted("signature_invalid", "the signature does not fit the message") from None
