"""Payment: native, credit, minting by the issuer, burning at the issuer."""

from __future__ import annotations

from typing import Final

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.balances import change_line, give_native, take_native
from prizewire_stellar_sandbox.core.frames import account_of, asset_of, mux_of
from prizewire_stellar_sandbox.core.model import AccountId, Asset, Transfer
from prizewire_stellar_sandbox.core.operations.base import (
    Context,
    Outcome,
    Rule,
    Threshold,
    always,
    outcome,
)
from prizewire_stellar_sandbox.core.operations.validity import asset_is_valid

_Code = xdr.PaymentResultCode


def _check(body: xdr.OperationBody, _source: AccountId) -> Outcome | None:
    op = body.payment_op
    assert op is not None
    asset = asset_of(op.asset)
    if op.amount.int64 <= 0 or (asset is not None and not asset_is_valid(asset)):
        return outcome(_Code.PAYMENT_MALFORMED)
    return None


def _apply(ctx: Context) -> Outcome:
    op = ctx.body.payment_op
    assert op is not None
    destination, amount, asset = account_of(op.destination), op.amount.int64, asset_of(op.asset)
    code: _Code | None = None
    if asset is None:
        if destination != ctx.source:  # XLM to oneself succeeds and changes nothing
            code = _pay_native(ctx, destination, amount)
    else:
        # The protocol credits the destination before it charges the source; the codes come in that order.
        code = _credit(ctx, destination, asset, amount) or _charge(ctx, asset, amount)
    if code is not None:
        return outcome(code)
    ctx.transfers.append(
        Transfer(
            kind="payment",
            operation_index=ctx.index,
            sender=ctx.source,
            recipient=destination,
            recipient_mux=mux_of(op.destination),
            asset=asset,
            amount=amount,
        )
    )
    return outcome(_Code.PAYMENT_SUCCESS)


def _pay_native(ctx: Context, destination: AccountId, amount: int) -> _Code | None:
    recipient = ctx.view.account(destination)
    if recipient is None:
        return _Code.PAYMENT_NO_DESTINATION
    if not give_native(view=ctx.view, account=recipient, amount=amount):
        return _Code.PAYMENT_LINE_FULL
    if not take_native(view=ctx.view, account=ctx.source_account(), header=ctx.header, amount=amount):
        return _Code.PAYMENT_UNDERFUNDED
    return None


def _credit(ctx: Context, destination: AccountId, asset: Asset, amount: int) -> _Code | None:
    if destination == asset.issuer:
        return None  # what comes back to its issuer is burned; the issuer need not even exist any more
    if ctx.view.account(destination) is None:
        return _Code.PAYMENT_NO_DESTINATION
    line = ctx.view.trustline(destination, asset)
    if line is None:
        return _Code.PAYMENT_NO_TRUST
    if not line.authorized:
        return _Code.PAYMENT_NOT_AUTHORIZED
    if not change_line(view=ctx.view, line=line, amount=amount):
        return _Code.PAYMENT_LINE_FULL
    return None


def _charge(ctx: Context, asset: Asset, amount: int) -> _Code | None:
    if ctx.source == asset.issuer:
        return None  # the issuer mints
    line = ctx.view.trustline(ctx.source, asset)
    if line is None:
        return _Code.PAYMENT_SRC_NO_TRUST
    if not line.authorized:
        return _Code.PAYMENT_SRC_NOT_AUTHORIZED
    if not change_line(view=ctx.view, line=line, amount=-amount):
        return _Code.PAYMENT_UNDERFUNDED
    return None


RULES: Final = {
    xdr.OperationType.PAYMENT: Rule(
        threshold=always(Threshold.MEDIUM),
        check=_check,
        apply=_apply,
        success=outcome(_Code.PAYMENT_SUCCESS),
    )
}
