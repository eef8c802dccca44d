"""ManageData: names and values on an account (SEP-29 keeps ``config.memo_required`` there)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.balances import reserve_subentry
from prizewire_stellar_sandbox.core.model import AccountId, DataEntry
from prizewire_stellar_sandbox.core.operations.base import (
    Context,
    Outcome,
    Rule,
    Threshold,
    always,
    outcome,
)
from prizewire_stellar_sandbox.core.operations.validity import text_is_valid

_Code = xdr.ManageDataResultCode


def _check(body: xdr.OperationBody, _source: AccountId) -> Outcome | None:
    op = body.manage_data_op
    assert op is not None
    name = op.data_name.string64
    if not name or not text_is_valid(name):
        return outcome(_Code.MANAGE_DATA_INVALID_NAME)
    return None


def _apply(ctx: Context) -> Outcome:
    op = ctx.body.manage_data_op
    assert op is not None
    name = op.data_name.string64
    known = ctx.view.data(ctx.source, name)
    if op.data_value is None:
        if known is None:
            return outcome(_Code.MANAGE_DATA_NAME_NOT_FOUND)
        ctx.view.delete(known.key)
        source = ctx.source_account()
        ctx.view.put(replace(source, subentries=source.subentries - 1))
        return outcome(_Code.MANAGE_DATA_SUCCESS)
    if known is None:
        failure = reserve_subentry(
            view=ctx.view,
            account=ctx.source_account(),
            header=ctx.header,
            low_reserve=_Code.MANAGE_DATA_LOW_RESERVE,
        )
        if failure is not None:
            return outcome(failure)
    ctx.view.put(DataEntry(account_id=ctx.source, name=name, value=op.data_value.data_value))
    return outcome(_Code.MANAGE_DATA_SUCCESS)


RULES: Final = {
    xdr.OperationType.MANAGE_DATA: Rule(
        threshold=always(Threshold.MEDIUM),
        check=_check,
        apply=_apply,
        success=outcome(_Code.MANAGE_DATA_SUCCESS),
    )
}
