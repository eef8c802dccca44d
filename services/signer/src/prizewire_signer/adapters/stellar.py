"""Stellar transactions from their bytes: decoded by stellar-sdk's generated XDR classes, hashed with the pinned
network, reduced to what the policy compares.

The hash is SHA-256 of the network id and the tagged transaction (Stellar protocol, ``TransactionSignaturePayload``).
An unsigned v1 envelope is the tag, the transaction and an empty list of signatures, so the bytes that are hashed
are the bytes that were decoded; a decoded value that would encode to other bytes is refused.
"""

import base64
import binascii
import hashlib

from stellar_sdk import StrKey, xdr
from xdrlib3 import Error as XdrError

from prizewire_signer.domain.model import ChainAsset, Memo, Operation, Payment, TimeBounds, Transaction
from prizewire_signer.errors import Code, UnreadableTransaction

_TAG_V1 = (2).to_bytes(4, "big")
"""ENVELOPE_TYPE_TX, which tags both the envelope and the signature payload."""
_NO_SIGNATURES = bytes(4)
_UNREADABLE = (ValueError, EOFError, XdrError, RecursionError, OverflowError)
"""What the generated decoder raises on bytes that are no transaction."""
_MEMOS = {
    xdr.MemoType.MEMO_NONE: "none",
    xdr.MemoType.MEMO_TEXT: "text",
    xdr.MemoType.MEMO_ID: "id",
    xdr.MemoType.MEMO_HASH: "hash",
    xdr.MemoType.MEMO_RETURN: "return",
}


class StellarTransactions:
    """Reads transactions for one network, named by its passphrase."""

    def __init__(self, *, network_passphrase: str) -> None:
        self._network_id = hashlib.sha256(network_passphrase.encode()).digest()

    def read(self, xdr: str) -> Transaction:
        """The unsigned plain transaction in these base64 bytes.

        Raises:
            UnreadableTransaction: not canonical XDR, no v1 envelope (fee bumps and v0 included), or signed already.
        """
        raw = _bytes_of(xdr)
        decoded = _decode(raw)
        packed = decoded.to_xdr_bytes()
        if raw != _TAG_V1 + packed + _NO_SIGNATURES:
            raise UnreadableTransaction(
                Code.XDR_MALFORMED, "the bytes are not the canonical encoding of the transaction"
            )
        return Transaction(
            tx_hash=hashlib.sha256(self._network_id + _TAG_V1 + packed).digest(),
            source=_account(decoded.source_account),
            fee=decoded.fee.uint32,
            sequence=decoded.seq_num.sequence_number.int64,
            time_bounds=_time_bounds(decoded.cond),
            other_preconditions=decoded.cond.v2 is not None,
            memo=Memo(kind=_MEMOS[decoded.memo.type], text=decoded.memo.text),
            operations=tuple(_operation(one) for one in decoded.operations),
            soroban=decoded.ext.v != 0,
        )


def address_of(public_key: bytes) -> str:
    """The G… address of an Ed25519 public key."""
    return StrKey.encode_ed25519_public_key(public_key)


def key_of(address: str) -> bytes:
    """The Ed25519 public key behind a G… address.

    Raises:
        ValueError: it is no such address.
    """
    return StrKey.decode_ed25519_public_key(address)


def is_address(text: str) -> bool:
    """Whether this is the G… address of an account."""
    return StrKey.is_valid_ed25519_public_key(text)


def _bytes_of(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableTransaction(Code.XDR_MALFORMED, "not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise UnreadableTransaction(Code.XDR_MALFORMED, "not the canonical base64 of its bytes")
    return raw


def _decode(raw: bytes) -> xdr.Transaction:
    try:
        envelope = xdr.TransactionEnvelope.from_xdr_bytes(raw)
    except _UNREADABLE as error:
        raise UnreadableTransaction(Code.XDR_MALFORMED, type(error).__name__) from None
    if envelope.type is not xdr.EnvelopeType.ENVELOPE_TYPE_TX or envelope.v1 is None:
        raise UnreadableTransaction(Code.ENVELOPE_NOT_PLAIN, envelope.type.name)
    if envelope.v1.signatures:
        raise UnreadableTransaction(Code.ENVELOPE_SIGNED, f"{len(envelope.v1.signatures)} signatures")
    return envelope.v1.tx


def _account(account: xdr.MuxedAccount) -> str:
    if account.med25519 is not None:
        # strkey of a muxed account: the key, then the 64-bit id (SEP-23)
        muxed = account.med25519
        return StrKey.encode_med25519_public_key(muxed.ed25519.uint256 + muxed.id.uint64.to_bytes(8, "big"))
    return _plain_account(account)


def _plain_account(account: xdr.MuxedAccount) -> str:
    """The account without the id of a muxed address."""
    key = account.ed25519 if account.med25519 is None else account.med25519.ed25519
    if key is None:
        raise UnreadableTransaction(Code.XDR_MALFORMED, "an account without a key")
    return address_of(key.uint256)


def _time_bounds(cond: xdr.Preconditions) -> TimeBounds | None:
    bounds = cond.time_bounds
    if bounds is None:
        return None
    return TimeBounds(min_time=bounds.min_time.time_point.uint64, max_time=bounds.max_time.time_point.uint64)


def _operation(operation: xdr.Operation) -> Operation:
    body = operation.body
    payment, bump = body.payment_op, body.bump_sequence_op
    return Operation(
        kind=body.type.name.lower(),
        source=None if operation.source_account is None else _account(operation.source_account),
        payment=None
        if payment is None
        else Payment(
            destination=_account(payment.destination),
            account=_plain_account(payment.destination),
            asset=_asset(payment.asset),
            amount=payment.amount.int64,
        ),
        bump_to=None if bump is None else bump.bump_to.sequence_number.int64,
    )


def _asset(asset: xdr.Asset) -> ChainAsset:
    if asset.type is xdr.AssetType.ASSET_TYPE_NATIVE:
        return ChainAsset(code=None, issuer=None)
    if asset.alpha_num4 is not None:
        return _credit(asset.alpha_num4.asset_code.asset_code4, asset.alpha_num4.issuer, shortest=1)
    if asset.alpha_num12 is not None:
        return _credit(asset.alpha_num12.asset_code.asset_code12, asset.alpha_num12.issuer, shortest=5)
    raise UnreadableTransaction(Code.XDR_MALFORMED, "an asset without a code")


def _credit(padded: bytes, issuer: xdr.AccountID, *, shortest: int) -> ChainAsset:
    """Only the one encoding that the network accepts for a code: zero-padded at the end, in the shorter form."""
    code = padded.rstrip(b"\0")
    key = issuer.account_id.ed25519
    if len(code) < shortest or not code.isalnum() or not code.isascii() or key is None:
        raise UnreadableTransaction(Code.XDR_MALFORMED, "an asset code that the network does not accept")
    return ChainAsset(code=code.decode("ascii"), issuer=address_of(key.uint256))
