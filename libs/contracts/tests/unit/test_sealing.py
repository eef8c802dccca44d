"""Payout details in a request can be read by payouts alone."""

import base64
from uuid import uuid4

import pytest
from nacl.public import SealedBox
from nacl.signing import SigningKey

from prizewire_contracts.sealing import InlineDetails, NotOpened, seal
from prizewire_contracts.trust import MessageKey

SEED = bytes(range(32))
KEY = MessageKey.from_seed(keyid="payouts-1", seed=SEED)
INLINE = InlineDetails(
    payout_id=uuid4(), type="bank", details={"iban": "DE89370400440532013000"}, salt=bytes(32)
)


def boxed(plain: bytes) -> str:
    public = SigningKey(SEED).verify_key.to_curve25519_public_key()
    return base64.b64encode(SealedBox(public).encrypt(plain)).decode()


def test_the_key_opens_what_was_sealed_for_it():
    """Everything comes back, and neither the box nor a text of the object shows the details."""
    box = seal(INLINE, key=SigningKey(SEED).verify_key)
    assert KEY.open(box) == INLINE
    assert b"DE89" not in base64.b64decode(box)
    assert "DE89" not in repr(INLINE)
    assert box != seal(INLINE, key=SigningKey(SEED).verify_key)


@pytest.mark.parametrize(
    "box",
    [
        seal(INLINE, key=SigningKey(bytes(32)).verify_key),
        seal(INLINE, key=SigningKey(SEED).verify_key)[:-8] + "AAAAAAA=",
        "no base64",
        boxed(b"no json"),
        boxed(b"[]"),
        boxed(b'{"payout_id":"x","type":"bank","details":{},"salt":""}'),
        boxed(b'{"payout_id":"%s","type":"bank","details":[],"salt":"%s"}' % (b"0" * 32, b"00" * 32)),
        boxed(b'{"payout_id":"%s","type":"bank","details":{"a":1},"salt":"%s"}' % (b"0" * 32, b"00" * 32)),
        boxed(b'{"payout_id":"%s","type":"bank","details":{},"salt":"00"}' % (b"0" * 32)),
    ],
    ids=(
        "another-key",
        "changed",
        "no-base64",
        "no-json",
        "no-object",
        "no-id",
        "list",
        "number",
        "short-salt",
    ),
)
def test_anything_else_is_refused(box: str):
    """A box for another key, a changed one, or one with other contents is refused, without a word of its contents."""
    with pytest.raises(NotOpened, match="the box"):
        KEY.open(box)
