"""Operations as raw XDR, free of the client library's checks, so that a test can send any nonsense."""

from __future__ import annotations

from typing import Any

from stellar_sdk import Keypair, xdr

from prizewire_stellar_sandbox.core.model import INT64_MAX, Asset
from tools.stellar_sandbox.tests.net import muxed

Type = xdr.OperationType


def _operation(type_: Type, source: Keypair | None, **arm: Any) -> xdr.Operation:
    return xdr.Operation(None if source is None else muxed(source), xdr.OperationBody(type_, **arm))


def account_id(who: Keypair) -> xdr.AccountID:
    return xdr.AccountID(
        xdr.PublicKey(xdr.PublicKeyType.PUBLIC_KEY_TYPE_ED25519, xdr.Uint256(who.raw_public_key()))
    )


def asset_arms(asset: Asset) -> dict[str, Any]:
    """The arm of Asset, TrustLineAsset and ChangeTrustAsset alike."""
    issuer = account_id(Keypair.from_raw_ed25519_public_key(asset.issuer))
    if len(asset.code) == 4:
        return {
            "type": xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM4,
            "alpha_num4": xdr.AlphaNum4(xdr.AssetCode4(asset.code), issuer),
        }
    return {
        "type": xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM12,
        "alpha_num12": xdr.AlphaNum12(xdr.AssetCode12(asset.code), issuer),
    }


def xdr_asset(asset: Asset | None) -> xdr.Asset:
    if asset is None:
        return xdr.Asset(xdr.AssetType.ASSET_TYPE_NATIVE)
    return xdr.Asset(**asset_arms(asset))


def pay(
    to: Keypair,
    stroops: int,
    *,
    asset: Asset | None = None,
    source: Keypair | None = None,
    mux: int | None = None,
) -> xdr.Operation:
    op = xdr.PaymentOp(muxed(to, mux), xdr_asset(asset), xdr.Int64(stroops))
    return _operation(Type.PAYMENT, source, payment_op=op)


def create(who: Keypair, stroops: int, *, source: Keypair | None = None) -> xdr.Operation:
    op = xdr.CreateAccountOp(account_id(who), xdr.Int64(stroops))
    return _operation(Type.CREATE_ACCOUNT, source, create_account_op=op)


def merge(into: Keypair, *, source: Keypair | None = None) -> xdr.Operation:
    return _operation(Type.ACCOUNT_MERGE, source, destination=muxed(into))


def bump_sequence(to: int, *, source: Keypair | None = None) -> xdr.Operation:
    op = xdr.BumpSequenceOp(xdr.SequenceNumber(xdr.Int64(to)))
    return _operation(Type.BUMP_SEQUENCE, source, bump_sequence_op=op)


def change_trust(
    asset: Asset | None, limit: int = INT64_MAX, *, source: Keypair | None = None
) -> xdr.Operation:
    if asset is None:
        line = xdr.ChangeTrustAsset(xdr.AssetType.ASSET_TYPE_NATIVE)
    else:
        line = xdr.ChangeTrustAsset(**asset_arms(asset))
    return _operation(Type.CHANGE_TRUST, source, change_trust_op=xdr.ChangeTrustOp(line, xdr.Int64(limit)))


def allow_trust(
    trustor: Keypair, code: bytes, authorize: int, *, source: Keypair | None = None
) -> xdr.Operation:
    asset = xdr.AssetCode(xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM4, asset_code4=xdr.AssetCode4(code))
    op = xdr.AllowTrustOp(account_id(trustor), asset, xdr.Uint32(authorize))
    return _operation(Type.ALLOW_TRUST, source, allow_trust_op=op)


def line_flags(
    trustor: Keypair,
    asset: Asset | None,
    *,
    clear: int = 0,
    add: int = 0,
    source: Keypair | None = None,
) -> xdr.Operation:
    op = xdr.SetTrustLineFlagsOp(account_id(trustor), xdr_asset(asset), xdr.Uint32(clear), xdr.Uint32(add))
    return _operation(Type.SET_TRUST_LINE_FLAGS, source, set_trust_line_flags_op=op)


def signer_of(who: Keypair) -> xdr.SignerKey:
    return xdr.SignerKey(xdr.SignerKeyType.SIGNER_KEY_TYPE_ED25519, ed25519=xdr.Uint256(who.raw_public_key()))


def options(
    *,
    add: int | None = None,
    clear: int | None = None,
    master: int | None = None,
    low: int | None = None,
    medium: int | None = None,
    high: int | None = None,
    domain: bytes | None = None,
    signer: tuple[xdr.SignerKey, int] | None = None,
    inflation: Keypair | None = None,
    source: Keypair | None = None,
) -> xdr.Operation:
    def number(value: int | None) -> xdr.Uint32 | None:
        return None if value is None else xdr.Uint32(value)

    op = xdr.SetOptionsOp(
        inflation_dest=None if inflation is None else account_id(inflation),
        clear_flags=number(clear),
        set_flags=number(add),
        master_weight=number(master),
        low_threshold=number(low),
        med_threshold=number(medium),
        high_threshold=number(high),
        home_domain=None if domain is None else xdr.String32(domain),
        signer=None if signer is None else xdr.Signer(signer[0], xdr.Uint32(signer[1])),
    )
    return _operation(Type.SET_OPTIONS, source, set_options_op=op)


def data(name: bytes, value: bytes | None, *, source: Keypair | None = None) -> xdr.Operation:
    op = xdr.ManageDataOp(xdr.String64(name), None if value is None else xdr.DataValue(value))
    return _operation(Type.MANAGE_DATA, source, manage_data_op=op)


def inflation() -> xdr.Operation:
    """An operation that the network no longer supports."""
    return _operation(Type.INFLATION, None)
