"""Stellar transactions as bytes: built and hashed once, signed by decorating, their results read.

The hash is SHA-256 over network id, envelope type and transaction (stellar-xdr: ``TransactionSignaturePayload``).
"""

import base64
import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from stellar_sdk import (
    Asset,
    BumpSequence,
    Keypair,
    MuxedAccount,
    StrKey,
    TextMemo,
    TimeBounds,
    Transaction,
    xdr,
)
from stellar_sdk.operation import Payment as PaymentOperation
from stellar_sdk.preconditions import Preconditions

from prizewire_payouts.stellar.domain.model import (
    NATIVE,
    Built,
    ChainAsset,
    OperationResult,
    Payment,
    PaymentFacts,
    TxContents,
    TxResult,
    stroops_text,
)
from prizewire_payouts.stellar.domain.states import SignaturesRefused

_TAG_V1 = (2).to_bytes(4, "big")
"""``ENVELOPE_TYPE_TX``: tags the envelope and the payload that is hashed."""
_NO_SIGNATURES = bytes(4)
MEMO_BYTES_MAX = 28
"""A text memo's limit (stellar-xdr: ``string text<28>``)."""


class StellarTransactions:
    """``prizewire_payouts.stellar.ports.TransactionMaker`` over stellar-sdk."""

    def __init__(self, *, network_passphrase: str, treasury: str) -> None:
        self._network_id = hashlib.sha256(network_passphrase.encode()).digest()
        self._treasury = treasury

    @property
    def treasury(self) -> str:
        """The source of every operation."""
        return self._treasury

    def payments(
        self, *, account: str, sequence: int, payments: Sequence[Payment], memo: str, max_time: int, fee: int
    ) -> Built:
        """One payment operation for each item, in this order, on the slot (account, sequence)."""
        transaction = Transaction(
            source=Keypair.from_public_key(account),
            sequence=sequence,
            fee=fee,
            operations=[
                PaymentOperation(
                    destination=payment.destination,
                    asset=_asset(payment.asset),
                    amount=stroops_text(stroops=payment.stroops),
                    source=self._treasury,
                )
                for payment in payments
            ],
            memo=TextMemo(memo) if memo else None,
            preconditions=Preconditions(time_bounds=TimeBounds(0, max_time)),
            v1=True,
        )
        return self._built(transaction, max_time=max_time)

    def void(self, *, account: str, sequence: int, max_time: int, fee: int) -> Built:
        """A transaction that consumes the slot (account, sequence) and has no other effect.

        Its operation asks to bump the channel's sequence number to 0. One that is not above the present number is
        left as it is, and the operation succeeds (Stellar protocol, ``BumpSequenceOp``).
        """
        transaction = Transaction(
            source=Keypair.from_public_key(account),
            sequence=sequence,
            fee=fee,
            operations=[BumpSequence(0, source=account)],
            preconditions=Preconditions(time_bounds=TimeBounds(0, max_time)),
            v1=True,
        )
        return self._built(transaction, max_time=max_time)

    def _built(self, transaction: Transaction, *, max_time: int) -> Built:
        packed = transaction.to_xdr_object().to_xdr_bytes()
        return Built(
            tx_hash=hashlib.sha256(self._network_id + _TAG_V1 + packed).hexdigest(),
            unsigned_xdr=base64.b64encode(_TAG_V1 + packed + _NO_SIGNATURES).decode(),
            max_time=max_time,
            sequence=transaction.sequence,
            fee=transaction.fee,
        )


def attach_signatures(
    *,
    unsigned_xdr: str,
    tx_hash: bytes,
    signatures: Sequence[tuple[str, str]],
    signers: Sequence[str],
) -> str:
    """The envelope with its signatures (public key and signature in hex), base64.

    Every one of ``signers`` (G addresses) must have signed ``tx_hash``, and no other signature may be added: the
    network refuses a transaction with a signature that it does not need.

    Raises:
        SignaturesRefused: a signer is missing or unknown, or a signature does not verify.
    """
    expected = {StrKey.decode_ed25519_public_key(signer) for signer in signers}
    by_key: dict[bytes, bytes] = {}
    for public_hex, signature_hex in signatures:
        public_key, signature = bytes.fromhex(public_hex), bytes.fromhex(signature_hex)
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, tx_hash)
        except (InvalidSignature, ValueError):
            raise SignaturesRefused(f"the signature by {public_hex} does not verify") from None
        by_key[public_key] = signature
    if set(by_key) != expected:
        raise SignaturesRefused("the signers are not the transaction's source and the treasury")
    raw = base64.b64decode(unsigned_xdr)
    assert raw.endswith(_NO_SIGNATURES)
    decorated = b"".join(
        xdr.DecoratedSignature(
            hint=xdr.SignatureHint(public_key[-4:]), signature=xdr.Signature(signature)
        ).to_xdr_bytes()
        for public_key, signature in sorted(by_key.items())
    )
    return base64.b64encode(raw[:-4] + len(by_key).to_bytes(4, "big") + decorated).decode()


def account_behind(address: str) -> str | None:
    """The G address that owns a G or M address; None where it is neither."""
    if StrKey.is_valid_ed25519_public_key(address):
        return address
    if StrKey.is_valid_med25519_public_key(address):
        return MuxedAccount.from_account(address).account_id
    return None


def parse_assets(text: str) -> dict[str, ChainAsset]:
    """``STELLAR_ASSETS``: a comma list of ``CODE:ISSUER``; ``XLM`` or ``XLM:native`` is the native asset.

    Raises:
        ValueError: an entry has no issuer that is an account, or a code is named twice.
    """
    found: dict[str, ChainAsset] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        code, _, issuer = entry.partition(":")
        if code in found:
            msg = f"STELLAR_ASSETS names {code} twice"
            raise ValueError(msg)
        if code == NATIVE.code and issuer in ("", "native"):
            found[code] = NATIVE
        elif StrKey.is_valid_ed25519_public_key(issuer):
            found[code] = ChainAsset(code, issuer)
        else:
            msg = f"STELLAR_ASSETS: {code} has no issuer that is an account"
            raise ValueError(msg)
    return found


def read_result(result_xdr: str) -> TxResult:
    """A ``TransactionResult`` in base64, a fee bump's inner result where there is one.

    Raises:
        ValueError: the bytes are no such result.
    """
    try:
        result = xdr.TransactionResult.from_xdr(result_xdr)
    except Exception as error:  # the generated decoder raises whatever its parts raise
        msg = f"no transaction result: {type(error).__name__}"
        raise ValueError(msg) from error
    body = result.result
    code, operations = body.code, body.results
    if body.inner_result_pair is not None:
        inner = body.inner_result_pair.result.result
        code, operations = inner.code, inner.results
    return TxResult(
        fee_charged=result.fee_charged.int64,
        code=code.name,
        operations=None if operations is None else tuple(_operation(one) for one in operations),
    )


def read_contents(envelope_xdr: str) -> TxContents | None:
    """What a transaction envelope in base64 holds, a fee bump's inner transaction; None where it cannot be read."""
    try:
        envelope = xdr.TransactionEnvelope.from_xdr(envelope_xdr)
        inner = envelope.fee_bump.tx.inner_tx.v1 if envelope.fee_bump is not None else envelope.v1
        return None if inner is None else _contents(inner.tx)
    except Exception:  # noqa: BLE001 - the generated decoder raises whatever its parts raise; unread is unread
        return None


def _contents(transaction: xdr.Transaction) -> TxContents:
    source = MuxedAccount.from_xdr_object(transaction.source_account)
    memo = transaction.memo
    text = None
    if memo.type is not xdr.MemoType.MEMO_NONE:
        text = memo.text.decode(errors="replace") if memo.text is not None else _OTHER_MEMO
    return TxContents(
        source=source.account_id,
        sequence=transaction.seq_num.sequence_number.int64,
        memo=text,
        payments=tuple(_payment(one, source) for one in transaction.operations),
    )


_OTHER_MEMO = "\0a memo that is no text"
"""Represents a memo of another kind: no text memo of Prizewire has a NUL."""


def _payment(operation: xdr.Operation, default: MuxedAccount) -> PaymentFacts | None:
    payment = operation.body.payment_op
    if payment is None:
        return None
    source = default
    if operation.source_account is not None:
        source = MuxedAccount.from_xdr_object(operation.source_account)
    destination = MuxedAccount.from_xdr_object(payment.destination)
    asset = Asset.from_xdr_object(payment.asset)
    return PaymentFacts(
        source=source.account_id,
        destination=destination.account_muxed or destination.account_id,
        asset=NATIVE if asset.is_native() else ChainAsset(asset.code, asset.issuer),
        stroops=payment.amount.int64,
    )


def _operation(result: xdr.OperationResult) -> OperationResult:
    inner = None
    if result.tr is not None and result.tr.payment_result is not None:
        inner = result.tr.payment_result.code.name
    return OperationResult(result.code.name, inner)


def _asset(asset: ChainAsset) -> Asset:
    return Asset.native() if asset.issuer is None else Asset(asset.code, asset.issuer)
