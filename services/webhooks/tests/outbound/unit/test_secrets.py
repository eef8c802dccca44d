"""Subscribers' secrets at rest."""

import base64
import hashlib
from dataclasses import replace
from uuid import UUID

import pytest

from prizewire_webhooks.outbound.adapters.secrets import KeyMalformed, SecretBox, UnreadableSecret, new_secret

KEY = hashlib.sha256(b"test box").hexdigest()
OWNER = UUID(int=7)


def test_a_secret_is_what_standard_webhooks_asks_for():
    """whsec_ and base64 of 24 to 64 bytes, never the same."""
    first, second = new_secret(), new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert 24 <= len(base64.b64decode(first.removeprefix("whsec_"))) <= 64


def test_sealed_and_opened():
    """What was sealed opens again; the sealed form and its repr do not show it."""
    box, secret = SecretBox(KEY), new_secret()
    sealed = box.seal(secret, subscription_id=OWNER)
    assert box.open(sealed) == secret
    assert secret.encode() not in sealed.sealed
    assert repr(sealed.sealed) not in repr(sealed)


def test_a_secret_moved_to_another_subscription_does_not_open():
    """The ciphertext is bound to its subscription, its bytes and its key."""
    box = SecretBox(KEY)
    sealed = box.seal(new_secret(), subscription_id=OWNER)
    with pytest.raises(UnreadableSecret):
        box.open(replace(sealed, subscription_id=UUID(int=8)))
    with pytest.raises(UnreadableSecret):
        box.open(replace(sealed, sealed=sealed.sealed[:-1] + bytes([sealed.sealed[-1] ^ 1])))
    with pytest.raises(UnreadableSecret):
        SecretBox(hashlib.sha256(b"other").hexdigest()).open(sealed)


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "0" * 63, "00 " * 21 + "0"])
def test_a_key_is_64_hex_digits(text):
    """Anything else is refused before it is used."""
    with pytest.raises(KeyMalformed):
        SecretBox(text)
