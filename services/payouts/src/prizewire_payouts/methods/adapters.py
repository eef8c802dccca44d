"""Sealed details of payout methods, and the installed method types.

Details are encrypted, bound to their method, and compared only with the key. One 32-byte key, read from a file of 64 hex
digits, yields five keys by HKDF: two encrypt (AES-256-GCM with a random 96-bit nonce), one the details of methods with the method's id
as associated data, one those in the rows of rails with the row's identity. One each marks destinations, the rows of attempts, and
codes (HMAC-SHA256). So no key serves for another's purpose.
"""

import hmac
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.intents import commitment
from prizewire_payouts.errors import DetailsError
from prizewire_payouts.methods.domain import AccountKey, Method, MethodTerms, MethodUnreadable
from prizewire_payouts.methods.ports import OpenedDetails, ShownDetails
from prizewire_railkit.method_types import (
    MALFORMED,
    DetailsRefused,
    MethodDetails,
    MethodType,
    mask,
    read_details,
)

ADDRESS_NOT_ALLOWED = "address_not_allowed"
UNKNOWN_TYPE = "method_type_unknown"
_HIDDEN = "…"
ON_CHAIN_ACCOUNT = "account of a chain"
"""The kind of the key of an account on a chain, of every method type."""
SALT_BYTES = 32
_NONCE_BYTES = 12
_HEX_KEY = re.compile(r"[0-9a-f]{64}")


class _Keys:
    """The keys that are derived from one secret."""

    def __init__(self, key_hex: str) -> None:
        if not _HEX_KEY.fullmatch(key_hex):
            msg = "the method encryption key is not 64 lower-case hex digits"
            raise ValueError(msg)
        secret = bytes.fromhex(key_hex)
        self.details = AESGCM(_derived(secret, b"details"))
        self.rail_rows = AESGCM(_derived(secret, b"rail rows"))
        self.destination = _derived(secret, b"destination")
        self.attempts = _derived(secret, b"attempts")
        self.codes = _derived(secret, b"codes")
        self.key_id = sha256(b"prizewire:method-key-id\n" + self.destination).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"_Keys({self.key_id})"

    def row_mac(self, message: bytes) -> bytes:
        return hmac.digest(self.attempts, message, "sha256")


class DetailsVault:
    """`prizewire_payouts.methods.ports.Vault` with keys derived from one secret. Its text never has a key.

    What former keys encrypted or marked is still read; everything new is written by the present key.
    """

    def __init__(self, *, key_hex: str, former: Iterable[str] = ()) -> None:
        """Take each key as 64 lower-case hex digits.

        Raises:
            ValueError: a text has another form; the message does not repeat it. Or a key is given twice.
        """
        self._keys = _Keys(key_hex)
        known = [self._keys, *(_Keys(one) for one in former)]
        self._known = {one.key_id: one for one in known}
        if len(self._known) < len(known):
            msg = "METHOD_ENCRYPTION_FORMER_KEY_FILES names a key twice, or the present one: name other keys only"
            raise ValueError(msg)

    def __repr__(self) -> str:
        return f"DetailsVault({self.key_id})"

    @property
    def key_id(self) -> str:
        """See the port: it differs for each key and shows nothing of it."""
        return self._keys.key_id

    @property
    def key_ids(self) -> Collection[str]:
        """The ids of all keys, the present one first."""
        return self._known.keys()

    def salt(self) -> bytes:
        """See the port."""
        return os.urandom(SALT_BYTES)

    def seal(self, *, method_id: UUID, opened: OpenedDetails) -> bytes:
        """See the port."""
        nonce = os.urandom(_NONCE_BYTES)
        plain = orjson.dumps({"details": dict(opened.details), "salt": opened.salt.hex()})
        return nonce + self._keys.details.encrypt(nonce, plain, method_id.bytes)

    def open(self, *, method: Method) -> OpenedDetails:
        """See the port."""
        nonce, sealed = method.sealed[:_NONCE_BYTES], method.sealed[_NONCE_BYTES:]
        keys = self._known.get(method.sealed_by)
        if keys is not None:
            with suppress(InvalidTag):
                plain = orjson.loads(keys.details.decrypt(nonce, sealed, method.method_id.bytes))
                return OpenedDetails(details=plain["details"], salt=bytes.fromhex(plain["salt"]))
        raise MethodUnreadable(method.method_id)

    def destination_mac(self, *, method_type: str, details: Mapping[str, Any]) -> bytes:
        """See the port."""
        return next(iter(self.destination_macs(method_type=method_type, details=details)))

    def destination_macs(self, *, method_type: str, details: Mapping[str, Any]) -> Collection[bytes]:
        """See the port."""
        message = canonical_bytes([method_type, dict(details)])
        return [hmac.digest(keys.destination, message, "sha256") for keys in self._known.values()]

    def row_mac(self, message: bytes) -> bytes:
        """The MAC of a row's content. A person who can write rows cannot compute it."""
        return self._keys.row_mac(message)

    @property
    def former_row_macs(self) -> Sequence[Callable[[bytes], bytes]]:
        """`row_mac` as former keys computed it."""
        return [keys.row_mac for keys in self._known.values() if keys is not self._keys]

    def seal_row(self, *, binding: bytes, plain: bytes) -> bytes:
        """See `prizewire_payouts.unit_of_work.RowSeals`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._keys.rail_rows.encrypt(nonce, plain, binding)

    def open_row(self, *, key_id: str, binding: bytes, sealed: bytes) -> bytes:
        """See `prizewire_payouts.unit_of_work.RowSeals`."""
        keys = self._known.get(key_id)
        if keys is not None:
            with suppress(InvalidTag):
                return keys.rail_rows.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], binding)
        msg = "the details of a rail's row were not sealed by a known key, or were changed since"
        raise ValueError(msg)

    def code_mac(self, *, verification_id: UUID, code: str) -> bytes:
        """See the port."""
        return hmac.digest(self._keys.codes, verification_id.bytes + code.encode(), "sha256")

    def is_code(self, *, verification_id: UUID, code: str, mac: bytes) -> bool:
        """See the port."""
        message = verification_id.bytes + code.encode()
        found = [hmac.digest(keys.codes, message, "sha256") for keys in self._known.values()]
        return any(hmac.compare_digest(one, mac) for one in found)

    def commitment(self, *, opened: OpenedDetails) -> str:
        """See the port."""
        return commitment(salt=opened.salt, details=dict(opened.details))


def account_key(method_type: str, details: MethodDetails) -> AccountKey:
    """What marks an account: on a chain the account, with any memo and in any form of its address."""
    chain = details.on_chain()
    if chain is not None:
        return ON_CHAIN_ACCOUNT, {"account": chain.account}
    return method_type, details.destination()


class InstalledTypes:
    """`prizewire_payouts.methods.ports.MethodTypes` of the installed packages. ``own_accounts`` are the accounts that
    Prizewire itself pays from: no method may lead to one of them.
    """

    def __init__(
        self, types: Mapping[str, MethodType], *, own_accounts: AbstractSet[str] = frozenset()
    ) -> None:
        self._types = types
        self._own_accounts = own_accounts

    def read(self, *, method_type: str, details: Mapping[str, Any]) -> MethodTerms:
        """See the port."""
        try:
            found = read_details(self._types, method_type=method_type, details=details)
        except DetailsRefused as error:
            raise DetailsError(error.code, error.detail) from None
        chain = found.on_chain()
        if chain is not None and not self._own_accounts.isdisjoint({chain.account, chain.address}):
            raise DetailsError(
                ADDRESS_NOT_ALLOWED,
                "this account belongs to Prizewire itself, or issues an asset: give an account of the player",
            )
        return MethodTerms(
            type=method_type,
            details=found.clear(),
            address=None if chain is None else chain.address,
            memo=None if chain is None else chain.memo,
            account=account_key(method_type, found),
        )

    def account(self, *, method_type: str, details: Mapping[str, Any]) -> AccountKey:
        """What marks the account to which stored details lead; of a type that is not installed any more, all details do."""
        try:
            return account_key(
                method_type, read_details(self._types, method_type=method_type, details=details)
            )
        except DetailsRefused:
            return method_type, details

    def shown(self, *, method_type: str, details: Mapping[str, Any]) -> ShownDetails:
        """See the port."""
        try:
            found = read_details(self._types, method_type=method_type, details=details)
        except DetailsRefused:
            return ShownDetails(destination=_HIDDEN, memo=None)
        chain = found.on_chain()
        memo = None if chain is None or chain.memo is None else mask(chain.memo)
        return ShownDetails(destination=found.masked(), memo=memo)

    def on_chain(self, *, among: Collection[str], address: str, memo: str | None) -> str | None:
        """See the port."""
        details = {"address": address} if memo is None else {"address": address, "memo": memo}
        for name in sorted(among):
            try:
                found = read_details(self._types, method_type=name, details=details)
            except DetailsRefused:
                continue
            if found.on_chain() is not None:
                return name
        return None

    def names(self) -> Collection[str]:
        """See the port."""
        return self._types.keys()

    def codes(self) -> list[str]:
        """The codes with which details are refused, as the types name them."""
        own = {code for one in self._types.values() for code in one.codes}
        return sorted({UNKNOWN_TYPE, MALFORMED, ADDRESS_NOT_ALLOWED, *own})

    def describe(self, schema: dict[str, Any], *, text: Mapping[str, Any]) -> None:
        """Write what the details of each type are into the JSON schema of a body with ``type`` and ``details``. ``text`` is what the
        body asks of every detail.
        """
        schema["oneOf"] = [
            {
                "title": name,
                "description": one.summary,
                "properties": {"type": {"const": name}, "details": _members(one, text)},
            }
            for name, one in sorted(self._types.items())
        ]


def _members(method_type: MethodType, text: Mapping[str, Any]) -> dict[str, Any]:
    schema = method_type.details.model_json_schema()
    for member in schema["properties"].values():
        for one in (member, *member.get("anyOf", ())):
            if one.get("type") == "string":
                one |= {name: value for name, value in text.items() if name not in one}
    known = ("type", "properties", "required", "additionalProperties")
    return {name: schema[name] for name in known if name in schema}


def _derived(secret: bytes, purpose: bytes) -> bytes:
    info = b"prizewire:methods:v1\n" + purpose
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)
