"""Transactions as the ledger handles them: decoded once, with their hashes.

The hash that is signed is sha256(network id ‖ envelope type ‖ transaction). The envelope's own bytes begin
with the same type, so the signed bytes are the envelope without its trailing signatures; nothing is encoded
again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.model import AccountId, AnyAsset, Asset

_TYPE_V0: Final = (0).to_bytes(4, "big")
_TYPE_TX: Final = (2).to_bytes(4, "big")
_KEY_TYPE_ED25519: Final = (0).to_bytes(4, "big")


class MalformedEnvelope(ValueError):
    """The bytes are no transaction envelope."""


class Signature(NamedTuple):
    """A decorated signature: the last four bytes of the key that made it, and the signature."""

    hint: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What must hold for a transaction to be valid, besides sequence number, fee and signatures.

    Zero and None mean "no condition". Times are Unix seconds.
    """

    min_time: int = 0
    max_time: int = 0
    min_ledger: int = 0
    max_ledger: int = 0
    min_sequence: int | None = None
    min_sequence_age: int = 0
    min_sequence_ledger_gap: int = 0
    extra_signers: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class TransactionFrame:
    """A transaction with its signatures. ``fee`` is the most that its source is willing to pay, in stroops."""

    envelope: bytes
    hash: bytes
    envelope_hash: bytes
    source: AccountId
    fee: int
    sequence: int
    preconditions: Preconditions
    memo: xdr.Memo
    operations: tuple[xdr.Operation, ...]
    signatures: tuple[Signature, ...]
    has_soroban_data: bool

    @property
    def fee_source(self) -> AccountId:
        """Who pays the fee."""
        return self.source

    @property
    def operation_count(self) -> int:
        """Operations that the fee is paid for."""
        return len(self.operations)

    @property
    def inner(self) -> TransactionFrame:
        """The transaction whose operations are applied: this one."""
        return self


@dataclass(frozen=True, slots=True)
class FeeBumpFrame:
    """A fee bump: another account pays the fee of an unchanged, signed transaction."""

    envelope: bytes
    hash: bytes
    envelope_hash: bytes
    fee_source: AccountId
    fee: int
    inner: TransactionFrame
    signatures: tuple[Signature, ...]

    @property
    def source(self) -> AccountId:
        """Whose sequence number is used."""
        return self.inner.source

    @property
    def sequence(self) -> int:
        """The inner transaction's sequence number."""
        return self.inner.sequence

    @property
    def operation_count(self) -> int:
        """Operations that the fee is paid for: the bump counts as one."""
        return self.inner.operation_count + 1


Frame: TypeAlias = TransactionFrame | FeeBumpFrame


def account_of(muxed: xdr.MuxedAccount) -> AccountId:
    """The account behind a G… or M… address."""
    if muxed.ed25519 is not None:
        return muxed.ed25519.uint256
    assert muxed.med25519 is not None
    return muxed.med25519.ed25519.uint256


def mux_of(muxed: xdr.MuxedAccount) -> int | None:
    """The 64-bit id of an M… address."""
    return None if muxed.med25519 is None else muxed.med25519.id.uint64


def account_id_of(account: xdr.AccountID) -> AccountId:
    """The raw bytes of an AccountID."""
    assert account.account_id.ed25519 is not None
    return account.account_id.ed25519.uint256


def asset_of(asset: xdr.Asset | xdr.TrustLineAsset | xdr.ChangeTrustAsset) -> AnyAsset:
    """The asset; None for XLM. Liquidity pool shares must have been refused before."""
    if asset.alpha_num4 is not None:
        return Asset(asset.alpha_num4.asset_code.asset_code4, account_id_of(asset.alpha_num4.issuer))
    if asset.alpha_num12 is not None:
        return Asset(asset.alpha_num12.asset_code.asset_code12, account_id_of(asset.alpha_num12.issuer))
    assert asset.type == xdr.AssetType.ASSET_TYPE_NATIVE
    return None


def decode(envelope: bytes, *, network_id: bytes) -> Frame:
    """Decode a transaction envelope (type 0, 2 or 5). An old type 0 envelope becomes a type 2, as on the network.

    Raises:
        MalformedEnvelope: not one envelope, whole and canonical.
    """
    if envelope[:4] == _TYPE_V0:
        # A V0 transaction differs from V1 only in its source having no key type; its optional time bounds are
        # encoded like the precondition union.
        envelope = _TYPE_TX + _KEY_TYPE_ED25519 + envelope[4:]
    try:
        decoded = xdr.TransactionEnvelope.from_xdr_bytes(envelope)
    except (ValueError, EOFError, TypeError) as error:
        raise MalformedEnvelope(str(error)) from error
    if decoded.v1 is not None:
        return _transaction(envelope, decoded.v1, network_id)
    assert decoded.fee_bump is not None
    return _fee_bump(envelope, decoded.fee_bump, network_id)


def _transaction(envelope: bytes, decoded: xdr.TransactionV1Envelope, network_id: bytes) -> TransactionFrame:
    tx = decoded.tx
    signed = envelope[: len(envelope) - _size_of(decoded.signatures)]
    return TransactionFrame(
        envelope=envelope,
        hash=hashlib.sha256(network_id + signed).digest(),
        envelope_hash=hashlib.sha256(envelope).digest(),
        source=account_of(tx.source_account),
        fee=tx.fee.uint32,
        sequence=tx.seq_num.sequence_number.int64,
        preconditions=_preconditions(tx.cond),
        memo=tx.memo,
        operations=tuple(tx.operations),
        signatures=_signatures(decoded.signatures),
        has_soroban_data=tx.ext.v != 0,
    )


def _fee_bump(envelope: bytes, decoded: xdr.FeeBumpTransactionEnvelope, network_id: bytes) -> FeeBumpFrame:
    tx = decoded.tx
    signed = envelope[: len(envelope) - _size_of(decoded.signatures)]
    assert tx.inner_tx.v1 is not None
    inner = _TYPE_TX + tx.inner_tx.v1.to_xdr_bytes()
    return FeeBumpFrame(
        envelope=envelope,
        hash=hashlib.sha256(network_id + signed).digest(),
        envelope_hash=hashlib.sha256(envelope).digest(),
        fee_source=account_of(tx.fee_source),
        fee=tx.fee.int64,
        inner=_transaction(inner, tx.inner_tx.v1, network_id),
        signatures=_signatures(decoded.signatures),
    )


def _signatures(decorated: list[xdr.DecoratedSignature]) -> tuple[Signature, ...]:
    return tuple(Signature(item.hint.signature_hint, item.signature.signature) for item in decorated)


def _size_of(decorated: list[xdr.DecoratedSignature]) -> int:
    """Bytes of the signatures in the envelope: a count, then hint, length and padded signature of each."""
    return 4 + sum(8 + (len(item.signature.signature) + 3) // 4 * 4 for item in decorated)


def _preconditions(cond: xdr.Preconditions) -> Preconditions:
    if cond.time_bounds is not None:
        return Preconditions(
            min_time=cond.time_bounds.min_time.time_point.uint64,
            max_time=cond.time_bounds.max_time.time_point.uint64,
        )
    if cond.v2 is None:
        return Preconditions()
    v2 = cond.v2
    times, ledgers = v2.time_bounds, v2.ledger_bounds
    return Preconditions(
        min_time=times.min_time.time_point.uint64 if times else 0,
        max_time=times.max_time.time_point.uint64 if times else 0,
        min_ledger=ledgers.min_ledger.uint32 if ledgers else 0,
        max_ledger=ledgers.max_ledger.uint32 if ledgers else 0,
        min_sequence=v2.min_seq_num.sequence_number.int64 if v2.min_seq_num else None,
        min_sequence_age=v2.min_seq_age.duration.uint64,
        min_sequence_ledger_gap=v2.min_seq_ledger_gap.uint32,
        extra_signers=tuple(key.to_xdr_bytes() for key in v2.extra_signers),
    )
