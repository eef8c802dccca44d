"""Transactions as bytes, compared with what the library makes of them."""

import hashlib
from uuid import uuid4

import pytest
from stellar_sdk import Asset, Keypair, MuxedAccount, TextMemo, TransactionEnvelope, xdr
from stellar_sdk.operation import Payment as PaymentOperation

from prizewire_payouts.stellar.adapters.transactions import (
    StellarTransactions,
    account_behind,
    attach_signatures,
    parse_assets,
    read_result,
)
from prizewire_payouts.stellar.domain.model import NATIVE, Built, ChainAsset, Payment
from prizewire_payouts.stellar.domain.states import SignaturesRefused

PASSPHRASE = "Test SDF Network ; September 2015"


def key(label: str) -> Keypair:
    return Keypair.from_raw_ed25519_seed(hashlib.sha256(label.encode()).digest())


TREASURY, CHANNEL, OTHER, ISSUER = (key(name) for name in ("treasury", "channel", "other", "issuer"))
USDC = ChainAsset("USDC", ISSUER.public_key)


def payment(destination: str, *, asset: ChainAsset = USDC, stroops: int = 123_456_789) -> Payment:
    return Payment(
        provider_key=uuid4(),
        payout_id=uuid4(),
        correlation_id="c",
        asset=asset,
        stroops=stroops,
        destination=destination,
        account=destination,
        memo="",
        intent={},
        intent_signature="",
    )


def build(count: int = 3, *, memo: str = "") -> Built:
    maker = StellarTransactions(network_passphrase=PASSPHRASE, treasury=TREASURY.public_key)
    return maker.payments(
        account=CHANNEL.public_key,
        sequence=2**60 + 1,
        payments=[payment(key(f"p{index}").public_key) for index in range(count)],
        memo=memo,
        max_time=2_000_000_000,
        fee=100 * count,
    )


def pair(keypair: Keypair, message: bytes) -> tuple[str, str]:
    return keypair.raw_public_key().hex(), keypair.sign(message).hex()


@pytest.mark.parametrize("memo", ["", "exchange 42"])
def test_bytes_and_hash_are_what_the_library_reads(memo: str) -> None:
    """The library decodes the very transaction that was meant, and computes the same hash."""
    built = build(100, memo=memo)
    envelope = TransactionEnvelope.from_xdr(built.unsigned_xdr, PASSPHRASE)
    transaction = envelope.transaction
    assert envelope.hash_hex() == built.tx_hash
    assert envelope.signatures == []
    assert transaction.source.account_id == CHANNEL.public_key
    assert (transaction.sequence, transaction.fee) == (2**60 + 1, 10_000)
    assert transaction.preconditions is not None
    assert transaction.preconditions.time_bounds is not None
    assert transaction.preconditions.time_bounds.max_time == 2_000_000_000
    assert (transaction.memo == TextMemo(memo)) is bool(memo)
    assert len(transaction.operations) == 100
    first = transaction.operations[0]
    assert isinstance(first, PaymentOperation)
    assert first.source is not None
    assert first.source.account_id == TREASURY.public_key
    assert (first.amount, first.asset) == ("12.3456789", Asset("USDC", ISSUER.public_key))


def test_attached_signatures_verify_and_change_no_hash() -> None:
    """The signed envelope has the same hash and the two signatures, each with its signer's hint."""
    built = build()
    tx_hash = bytes.fromhex(built.tx_hash)
    signed = attach_signatures(
        unsigned_xdr=built.unsigned_xdr,
        tx_hash=tx_hash,
        signatures=[pair(TREASURY, tx_hash), pair(CHANNEL, tx_hash)],
        signers=(CHANNEL.public_key, TREASURY.public_key),
    )
    envelope = TransactionEnvelope.from_xdr(signed, PASSPHRASE)
    assert envelope.hash_hex() == built.tx_hash
    assert envelope.to_xdr() == signed
    by_hint = {one.signature_hint: one.signature for one in envelope.signatures}
    for keypair in (TREASURY, CHANNEL):
        keypair.verify(tx_hash, by_hint[keypair.signature_hint()])


@pytest.mark.parametrize(
    "case", ["missing", "another key instead", "another key too", "wrong hash", "no key"]
)
def test_signatures_that_do_not_fit_are_refused(case: str) -> None:
    """Exactly the channel and the treasury must have signed exactly this hash."""
    built = build()
    tx_hash = bytes.fromhex(built.tx_hash)
    channel, treasury, other = (pair(one, tx_hash) for one in (CHANNEL, TREASURY, OTHER))
    signatures = {
        "missing": [channel],
        "another key instead": [channel, other],
        "another key too": [channel, treasury, other],
        "wrong hash": [channel, pair(TREASURY, hashlib.sha256(b"other").digest())],
        "no key": [channel, ("00" * 31 + "07", treasury[1])],
    }[case]
    with pytest.raises(SignaturesRefused):
        attach_signatures(
            unsigned_xdr=built.unsigned_xdr,
            tx_hash=tx_hash,
            signatures=signatures,
            signers=(CHANNEL.public_key, TREASURY.public_key),
        )


def test_addresses_are_distinguished() -> None:
    """G and M addresses have an account behind them; contracts, secrets and garbage have none."""
    muxed = MuxedAccount(TREASURY.public_key, 7).account_muxed
    assert muxed is not None
    assert account_behind(TREASURY.public_key) == TREASURY.public_key
    assert account_behind(muxed) == TREASURY.public_key
    assert account_behind(TREASURY.secret) is None
    assert account_behind("GARBAGE") is None


def test_configured_assets_name_their_issuers() -> None:
    """The native asset needs none; the rest do, once each."""
    assert parse_assets(f"XLM, USDC:{ISSUER.public_key},") == {"XLM": NATIVE, "USDC": USDC}
    for text in ("USDC", "USDC:nobody", "XLM,XLM:native"):
        with pytest.raises(ValueError, match="STELLAR_ASSETS"):
            parse_assets(text)


def test_results_of_failed_transactions_are_read_by_operation() -> None:
    """Fee, code and the result of each operation come out of the network's own bytes."""
    operations = [
        xdr.OperationResult(
            xdr.OperationResultCode.opINNER,
            xdr.OperationResultTr(xdr.OperationType.PAYMENT, payment_result=xdr.PaymentResult(code)),
        )
        for code in (xdr.PaymentResultCode.PAYMENT_SUCCESS, xdr.PaymentResultCode.PAYMENT_LINE_FULL)
    ]
    operations.append(xdr.OperationResult(xdr.OperationResultCode.opNO_ACCOUNT))
    result = xdr.TransactionResult(
        fee_charged=xdr.Int64(300),
        result=xdr.TransactionResultResult(xdr.TransactionResultCode.txFAILED, results=operations),
        ext=xdr.TransactionResultExt(0),
    )
    read = read_result(result.to_xdr())
    assert (read.fee_charged, read.code) == (300, "txFAILED")
    assert read.operations is not None
    assert [(one.operation, one.inner) for one in read.operations] == [
        ("opINNER", "PAYMENT_SUCCESS"),
        ("opINNER", "PAYMENT_LINE_FULL"),
        ("opNO_ACCOUNT", None),
    ]


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "////////////////////////"])
def test_garbage_is_no_result(text: str) -> None:
    """Bytes that are no result are one error."""
    with pytest.raises(ValueError, match="no transaction result"):
        read_result(text)
