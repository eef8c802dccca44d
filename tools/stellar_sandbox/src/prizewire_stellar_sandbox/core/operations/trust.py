"""Trustlines: opened and closed by the holder, authorized by the issuer."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.balances import reserve_subentry
from prizewire_stellar_sandbox.core.frames import account_id_of, asset_of
from prizewire_stellar_sandbox.core.model import (
    AUTH_CLAWBACK_ENABLED,
    AUTH_REQUIRED,
    AUTH_REVOCABLE,
    LINE_AUTH_FLAGS,
    LINE_AUTHORIZED,
    LINE_CLAWBACK_ENABLED,
    LINE_FLAGS_MASK,
    LINE_MAINTAIN_LIABILITIES,
    AccountId,
    Asset,
    Trustline,
)
from prizewire_stellar_sandbox.core.operations.base import (
    Context,
    Outcome,
    Rule,
    Threshold,
    always,
    outcome,
)
from prizewire_stellar_sandbox.core.operations.validity import asset_is_valid

_Change = xdr.ChangeTrustResultCode
_Allow = xdr.AllowTrustResultCode
_Flags = xdr.SetTrustLineFlagsResultCode


def _check_change(body: xdr.OperationBody, source: AccountId) -> Outcome | None:
    op = body.change_trust_op
    assert op is not None
    if op.line.type == xdr.AssetType.ASSET_TYPE_POOL_SHARE:
        return outcome(xdr.OperationResultCode.opNOT_SUPPORTED)  # the sandbox has no liquidity pools
    asset = asset_of(op.line)
    if op.limit.int64 < 0 or asset is None or not asset_is_valid(asset) or asset.issuer == source:
        return outcome(_Change.CHANGE_TRUST_MALFORMED)
    return None


def _apply_change(ctx: Context) -> Outcome:
    op = ctx.body.change_trust_op
    assert op is not None
    asset, limit = asset_of(op.line), op.limit.int64
    assert asset is not None
    line = ctx.view.trustline(ctx.source, asset)
    if line is None:
        return _open(ctx, asset, limit)
    if limit < line.balance:
        return outcome(_Change.CHANGE_TRUST_INVALID_LIMIT)
    if limit == 0:
        ctx.view.delete(line.key)
        source = ctx.source_account()
        ctx.view.put(replace(source, subentries=source.subentries - 1))
        return outcome(_Change.CHANGE_TRUST_SUCCESS)
    if ctx.view.account(asset.issuer) is None:
        return outcome(_Change.CHANGE_TRUST_NO_ISSUER)
    ctx.view.put(replace(line, limit=limit))
    return outcome(_Change.CHANGE_TRUST_SUCCESS)


def _open(ctx: Context, asset: Asset, limit: int) -> Outcome:
    if limit == 0:
        return outcome(_Change.CHANGE_TRUST_INVALID_LIMIT)
    issuer = ctx.view.account(asset.issuer)
    if issuer is None:
        return outcome(_Change.CHANGE_TRUST_NO_ISSUER)
    flags = 0 if issuer.flags & AUTH_REQUIRED else LINE_AUTHORIZED
    if issuer.flags & AUTH_CLAWBACK_ENABLED:
        flags |= LINE_CLAWBACK_ENABLED
    failure = reserve_subentry(
        view=ctx.view,
        account=ctx.source_account(),
        header=ctx.header,
        low_reserve=_Change.CHANGE_TRUST_LOW_RESERVE,
    )
    if failure is not None:
        return outcome(failure)
    ctx.view.put(Trustline(account_id=ctx.source, asset=asset, balance=0, limit=limit, flags=flags))
    return outcome(_Change.CHANGE_TRUST_SUCCESS)


def _allow_asset(op: xdr.AllowTrustOp, issuer: AccountId) -> Asset | None:
    if op.asset.asset_code4 is not None:
        return Asset(op.asset.asset_code4.asset_code4, issuer)
    if op.asset.asset_code12 is not None:
        return Asset(op.asset.asset_code12.asset_code12, issuer)
    return None


def _check_allow(body: xdr.OperationBody, source: AccountId) -> Outcome | None:
    op = body.allow_trust_op
    assert op is not None
    asset = _allow_asset(op, source)
    if (
        asset is None
        or op.authorize.uint32 > LINE_MAINTAIN_LIABILITIES
        or not asset_is_valid(asset)
        or account_id_of(op.trustor) == source
    ):
        return outcome(_Allow.ALLOW_TRUST_MALFORMED)
    return None


def _apply_allow(ctx: Context) -> Outcome:
    op = ctx.body.allow_trust_op
    assert op is not None
    asset, authorize = _allow_asset(op, ctx.source), op.authorize.uint32
    assert asset is not None
    revocable = bool(ctx.source_account().flags & AUTH_REVOCABLE)
    if not revocable and authorize == 0:
        return outcome(_Allow.ALLOW_TRUST_CANT_REVOKE)
    line = ctx.view.trustline(account_id_of(op.trustor), asset)
    if line is None:
        return outcome(_Allow.ALLOW_TRUST_NO_TRUST_LINE)
    if not revocable and line.authorized and authorize == LINE_MAINTAIN_LIABILITIES:
        return outcome(_Allow.ALLOW_TRUST_CANT_REVOKE)
    ctx.view.put(replace(line, flags=(line.flags & ~LINE_AUTH_FLAGS) | authorize))
    return outcome(_Allow.ALLOW_TRUST_SUCCESS)


def _check_flags(body: xdr.OperationBody, source: AccountId) -> Outcome | None:
    op = body.set_trust_line_flags_op
    assert op is not None
    asset = asset_of(op.asset)
    clear, add = op.clear_flags.uint32, op.set_flags.uint32
    if (
        asset is None
        or not asset_is_valid(asset)
        or asset.issuer != source
        or account_id_of(op.trustor) == source
        or clear & add
        or add & ~LINE_AUTH_FLAGS
        or add & LINE_AUTH_FLAGS == LINE_AUTH_FLAGS
        or clear & ~LINE_FLAGS_MASK
    ):
        return outcome(_Flags.SET_TRUST_LINE_FLAGS_MALFORMED)
    return None


def _apply_flags(ctx: Context) -> Outcome:
    op = ctx.body.set_trust_line_flags_op
    assert op is not None
    asset, clear, add = asset_of(op.asset), op.clear_flags.uint32, op.set_flags.uint32
    assert asset is not None
    revokes = bool(clear & LINE_AUTH_FLAGS) and not add & LINE_AUTHORIZED
    if revokes and not ctx.source_account().flags & AUTH_REVOCABLE:
        return outcome(_Flags.SET_TRUST_LINE_FLAGS_CANT_REVOKE)
    line = ctx.view.trustline(account_id_of(op.trustor), asset)
    if line is None:
        return outcome(_Flags.SET_TRUST_LINE_FLAGS_NO_TRUST_LINE)
    flags = (line.flags & ~clear) | add
    if flags & LINE_AUTH_FLAGS == LINE_AUTH_FLAGS:
        return outcome(_Flags.SET_TRUST_LINE_FLAGS_INVALID_STATE)
    ctx.view.put(replace(line, flags=flags))
    return outcome(_Flags.SET_TRUST_LINE_FLAGS_SUCCESS)


RULES: Final = {
    xdr.OperationType.CHANGE_TRUST: Rule(
        threshold=always(Threshold.MEDIUM),
        check=_check_change,
        apply=_apply_change,
        success=outcome(_Change.CHANGE_TRUST_SUCCESS),
    ),
    xdr.OperationType.ALLOW_TRUST: Rule(
        threshold=always(Threshold.LOW),
        check=_check_allow,
        apply=_apply_allow,
        success=outcome(_Allow.ALLOW_TRUST_SUCCESS),
    ),
    xdr.OperationType.SET_TRUST_LINE_FLAGS: Rule(
        threshold=always(Threshold.LOW),
        check=_check_flags,
        apply=_apply_flags,
        success=outcome(_Flags.SET_TRUST_LINE_FLAGS_SUCCESS),
    ),
}
