"""Transactions from their bytes."""

import base64
import contextlib
import random

import pytest
from stellar_sdk import MuxedAccount, TransactionEnvelope, xdr

from prizewire_signer.adapters.stellar import StellarTransactions, address_of, key_of
from prizewire_signer.domain.model import ChainAsset
from prizewire_signer.errors import Code, UnreadableTransaction
from services.signer.tests.fakes import CHANNELS, NETWORK, intent, keypair, payment_of, transaction

READER = StellarTransactions(network_passphrase=NETWORK)


def refused(text: str) -> Code:
    with pytest.raises(UnreadableTransaction) as caught:
        READER.read(text)
    return caught.value.code


def test_hash_is_the_networks_own() -> None:
    """The hash equals stellar-sdk's for the pinned passphrase, and differs for any other."""
    envelope = transaction([payment_of(intent(n)) for n in range(3)], memo="seven")
    assert READER.read(envelope.to_xdr()).tx_hash == envelope.hash()
    assert StellarTransactions(network_passphrase="other").read(envelope.to_xdr()).tx_hash != envelope.hash()


def test_fields_are_those_that_were_built() -> None:
    """Source, sequence, fee, bounds, memo and payments come out as they went in, muxed accounts included."""
    muxed = MuxedAccount(keypair("player 1").public_key, 2**63)
    envelope = transaction(
        [payment_of(intent(1), destination=muxed), payment_of(intent(2, pay_asset="XLM"))],
        memo="seven",
        min_time=5,
        max_time=9,
    )
    read = READER.read(envelope.to_xdr())
    assert (read.source, read.sequence, read.fee) == (
        CHANNELS[0].public_key,
        envelope.transaction.sequence,
        400,
    )
    assert read.time_bounds is not None
    assert (read.time_bounds.min_time, read.time_bounds.max_time) == (5, 9)
    assert (read.memo.kind, read.memo.text, read.soroban) == ("text", b"seven", False)
    first, second = (operation.payment for operation in read.operations)
    assert first is not None
    assert second is not None
    assert (first.destination, first.amount) == (muxed.account_muxed, 125_000_000)
    assert second.asset == ChainAsset(code=None, issuer=None)


def test_keys_and_addresses_convert_to_each_other() -> None:
    """An address leads to its key and back."""
    key = CHANNELS[0].raw_public_key()
    assert key_of(address_of(key)) == key


@pytest.mark.parametrize(
    "text", ["", "%", "AAAA", "AAAAAg==", "\u00e9", base64.b64encode(bytes(400)).decode()]
)
def test_bytes_without_a_transaction_are_refused(text: str) -> None:
    """Such bytes are refused with a code."""
    assert refused(text) in (Code.XDR_MALFORMED, Code.ENVELOPE_NOT_PLAIN)


def test_other_spelling_of_the_same_bytes_is_refused() -> None:
    """White space and odd padding in base64, and bytes behind the end, are no transaction."""
    spellings = [transaction([payment_of(intent(1))], memo=memo).to_xdr() for memo in ("1234", "12345678")]
    text = next(spelling for spelling in spellings if spelling.endswith("="))
    bare = text.rstrip("=")
    assert bare.endswith("A")
    stray = bare[:-1] + "B" + "=" * (len(text) - len(bare))
    assert base64.b64decode(stray) == base64.b64decode(text), "a bit that belongs to no byte"
    assert refused(stray) == Code.XDR_MALFORMED
    assert refused(text[:8] + "\n" + text[8:]) == Code.XDR_MALFORMED
    assert refused(text.rstrip("=") + "AAAA") == Code.XDR_MALFORMED
    assert refused(base64.b64encode(base64.b64decode(text) + bytes(4)).decode()) == Code.XDR_MALFORMED


def test_version_zero_envelope_is_refused() -> None:
    """The envelope of protocols before 13 has no type of its source: it is refused."""
    envelope = transaction([payment_of(intent(1))])
    old = TransactionEnvelope.from_xdr(envelope.to_xdr(), NETWORK)
    old.transaction.v1 = False
    assert refused(old.to_xdr()) == Code.ENVELOPE_NOT_PLAIN


def test_asset_code_in_an_encoding_that_the_network_refuses() -> None:
    """A short code in the long form, and a code with a hole in it, are not the pinned asset."""
    envelope = transaction([payment_of(intent(1))]).to_xdr_object()
    assert envelope.v1 is not None
    payment = envelope.v1.tx.operations[0].body.payment_op
    assert payment is not None
    assert payment.asset.alpha_num4 is not None
    issuer = payment.asset.alpha_num4.issuer
    payment.asset.alpha_num4.asset_code = xdr.AssetCode4(b"US\0C")
    assert refused(envelope.to_xdr()) == Code.XDR_MALFORMED
    payment.asset = xdr.Asset(
        xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM12,
        alpha_num12=xdr.AlphaNum12(xdr.AssetCode12(b"USDC".ljust(12, b"\0")), issuer),
    )
    assert refused(envelope.to_xdr()) == Code.XDR_MALFORMED


def test_random_and_damaged_bytes_never_raise_anything_else() -> None:
    """Random bytes, cut envelopes and damaged ones either decode or are refused with a code."""
    choice = random.Random(7)
    whole = base64.b64decode(transaction([payment_of(intent(1))] * 3, memo="x").to_xdr())
    for _ in range(600):
        kind = choice.randrange(3)
        if kind == 0:
            raw = choice.randbytes(choice.randrange(0, 300))
        elif kind == 1:
            raw = whole[: choice.randrange(len(whole))]
        else:
            damaged = bytearray(whole)
            for _ in range(choice.randrange(1, 6)):
                damaged[choice.randrange(len(whole))] = choice.randrange(256)
            raw = bytes(damaged)
        text = base64.b64encode(raw).decode()
        with contextlib.suppress(UnreadableTransaction):
            READER.read(text)


def test_deeply_nested_predicates_are_refused_and_do_not_exhaust_the_stack() -> None:
    """A claim predicate nested as deep as the decoder lets it is no payment, and no crash."""
    operation = transaction([payment_of(intent(1))])
    raw = bytearray(base64.b64decode(operation.to_xdr()))
    at = raw.index(b"\x00\x00\x00\x01" + b"\x00\x00\x00\x00" + key_of(intent(1).allowed[0].destination or ""))
    nested = b"\x00\x00\x00\x03\x00\x00\x00\x01" * 4_000  # CLAIM_PREDICATE_NOT, present, …
    balance = (14).to_bytes(4, "big") + bytes(4) + (1).to_bytes(8, "big") + (1).to_bytes(4, "big")
    claimant = bytes(8) + CHANNELS[0].raw_public_key()
    text = base64.b64encode(bytes(raw[:at]) + balance + claimant + nested).decode()
    assert refused(text) == Code.XDR_MALFORMED
