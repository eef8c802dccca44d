"""SetOptions: flags, weights and thresholds, signers, home domain."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.balances import reserve_subentry
from prizewire_stellar_sandbox.core.frames import account_id_of
from prizewire_stellar_sandbox.core.model import (
    ACCOUNT_FLAGS_MASK,
    AUTH_CLAWBACK_ENABLED,
    AUTH_IMMUTABLE,
    AUTH_REVOCABLE,
    SIGNERS_MAX,
    AccountId,
    Signer,
)
from prizewire_stellar_sandbox.core.operations.base import Context, Outcome, Rule, Threshold, outcome
from prizewire_stellar_sandbox.core.operations.validity import text_is_valid
from prizewire_stellar_sandbox.core.signatures import ed25519_signer, is_empty_payload

_Code = xdr.SetOptionsResultCode
_BYTE_MAX: Final = 255


def _threshold(body: xdr.OperationBody) -> Threshold:
    op = body.set_options_op
    assert op is not None
    sensitive = (op.master_weight, op.low_threshold, op.med_threshold, op.high_threshold, op.signer)
    return Threshold.HIGH if any(item is not None for item in sensitive) else Threshold.MEDIUM


def _flags(value: xdr.Uint32 | None) -> int:
    return 0 if value is None else value.uint32


def _check(body: xdr.OperationBody, source: AccountId) -> Outcome | None:
    op = body.set_options_op
    assert op is not None
    add, clear = _flags(op.set_flags), _flags(op.clear_flags)
    weights = (op.master_weight, op.low_threshold, op.med_threshold, op.high_threshold)
    if (add | clear) & ~ACCOUNT_FLAGS_MASK:
        return outcome(_Code.SET_OPTIONS_UNKNOWN_FLAG)
    if add & clear:
        return outcome(_Code.SET_OPTIONS_BAD_FLAGS)
    if any(item is not None and item.uint32 > _BYTE_MAX for item in weights):
        return outcome(_Code.SET_OPTIONS_THRESHOLD_OUT_OF_RANGE)
    if op.signer is not None:
        key = op.signer.key.to_xdr_bytes()
        if key == ed25519_signer(source) or op.signer.weight.uint32 > _BYTE_MAX or is_empty_payload(key):
            return outcome(_Code.SET_OPTIONS_BAD_SIGNER)
    if op.home_domain is not None and not text_is_valid(op.home_domain.string32):
        return outcome(_Code.SET_OPTIONS_INVALID_HOME_DOMAIN)
    return None


def _apply(ctx: Context) -> Outcome:
    op = ctx.body.set_options_op
    assert op is not None
    failure = _apply_flags(ctx, op)
    if failure is not None:
        return failure
    _apply_plain(ctx, op)
    return _apply_signer(ctx, op) or outcome(_Code.SET_OPTIONS_SUCCESS)


def _apply_flags(ctx: Context, op: xdr.SetOptionsOp) -> Outcome | None:
    source = ctx.source_account()
    add, clear = _flags(op.set_flags), _flags(op.clear_flags)
    if op.inflation_dest is not None and ctx.view.account(account_id_of(op.inflation_dest)) is None:
        return outcome(_Code.SET_OPTIONS_INVALID_INFLATION)
    if (add | clear) and source.flags & AUTH_IMMUTABLE:
        return outcome(_Code.SET_OPTIONS_CANT_CHANGE)
    flags = (source.flags & ~clear) | add
    if flags & AUTH_CLAWBACK_ENABLED and not flags & AUTH_REVOCABLE:
        return outcome(_Code.SET_OPTIONS_AUTH_REVOCABLE_REQUIRED)
    ctx.view.put(replace(source, flags=flags))
    return None


def _apply_plain(ctx: Context, op: xdr.SetOptionsOp) -> None:
    source = ctx.source_account()
    weights = (op.master_weight, op.low_threshold, op.med_threshold, op.high_threshold)
    ctx.view.put(
        replace(
            source,
            thresholds=bytes(
                old if new is None else new.uint32
                for old, new in zip(source.thresholds, weights, strict=True)
            ),
            home_domain=source.home_domain if op.home_domain is None else op.home_domain.string32,
            inflation_dest=source.inflation_dest
            if op.inflation_dest is None
            else account_id_of(op.inflation_dest),
        )
    )


def _apply_signer(ctx: Context, op: xdr.SetOptionsOp) -> Outcome | None:
    if op.signer is None:
        return None
    key, weight = op.signer.key.to_xdr_bytes(), op.signer.weight.uint32
    source = ctx.source_account()
    others = [signer for signer in source.signers if signer.key != key]
    known = len(others) < len(source.signers)
    if weight == 0:
        if known:  # removing a signer that is not there succeeds and changes nothing
            ctx.view.put(replace(source, signers=tuple(others), subentries=source.subentries - 1))
        return None
    if not known:
        if len(others) >= SIGNERS_MAX:
            return outcome(_Code.SET_OPTIONS_TOO_MANY_SIGNERS)
        failure = reserve_subentry(
            view=ctx.view,
            account=source,
            header=ctx.header,
            low_reserve=_Code.SET_OPTIONS_LOW_RESERVE,
        )
        if failure is not None:
            return outcome(failure)
    # The protocol keeps signers sorted by key.
    signers = tuple(sorted([*others, Signer(key, weight)]))
    ctx.view.put(replace(ctx.source_account(), signers=signers))
    return None


RULES: Final = {
    xdr.OperationType.SET_OPTIONS: Rule(
        threshold=_threshold,
        check=_check,
        apply=_apply,
        success=outcome(_Code.SET_OPTIONS_SUCCESS),
    )
}
