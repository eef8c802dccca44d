"""Operations on whole accounts: create, merge, bump the sequence number."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.balances import give_native, take_native
from prizewire_stellar_sandbox.core.frames import account_id_of, account_of, mux_of
from prizewire_stellar_sandbox.core.model import (
    AUTH_IMMUTABLE,
    Account,
    AccountId,
    Transfer,
    starting_sequence,
)
from prizewire_stellar_sandbox.core.operations.base import (
    Context,
    Outcome,
    Rule,
    Threshold,
    always,
    merged,
    outcome,
)

_Create = xdr.CreateAccountResultCode
_Merge = xdr.AccountMergeResultCode
_Bump = xdr.BumpSequenceResultCode


def _check_create(body: xdr.OperationBody, source: AccountId) -> Outcome | None:
    op = body.create_account_op
    assert op is not None
    if op.starting_balance.int64 < 0 or account_id_of(op.destination) == source:
        return outcome(_Create.CREATE_ACCOUNT_MALFORMED)
    return None


def _apply_create(ctx: Context) -> Outcome:
    op = ctx.body.create_account_op
    assert op is not None
    destination, amount = account_id_of(op.destination), op.starting_balance.int64
    if ctx.view.account(destination) is not None:
        return outcome(_Create.CREATE_ACCOUNT_ALREADY_EXIST)
    if amount < 2 * ctx.header.base_reserve:
        return outcome(_Create.CREATE_ACCOUNT_LOW_RESERVE)
    if not take_native(view=ctx.view, account=ctx.source_account(), header=ctx.header, amount=amount):
        return outcome(_Create.CREATE_ACCOUNT_UNDERFUNDED)
    ctx.view.put(
        Account(
            account_id=destination,
            balance=amount,
            sequence=starting_sequence(ctx.header.sequence),
        )
    )
    ctx.transfers.append(
        Transfer(
            kind="create_account",
            operation_index=ctx.index,
            sender=ctx.source,
            recipient=destination,
            recipient_mux=None,
            asset=None,
            amount=amount,
        )
    )
    return outcome(_Create.CREATE_ACCOUNT_SUCCESS)


def _check_merge(body: xdr.OperationBody, source: AccountId) -> Outcome | None:
    assert body.destination is not None
    if account_of(body.destination) == source:
        return outcome(_Merge.ACCOUNT_MERGE_MALFORMED)
    return None


def _apply_merge(ctx: Context) -> Outcome:
    assert ctx.body.destination is not None
    recipient = ctx.view.account(account_of(ctx.body.destination))
    source = ctx.source_account()
    if recipient is None:
        return outcome(_Merge.ACCOUNT_MERGE_NO_ACCOUNT)
    if source.flags & AUTH_IMMUTABLE:
        return outcome(_Merge.ACCOUNT_MERGE_IMMUTABLE_SET)
    if source.subentries != len(source.signers):  # signers go with the account, other subentries do not
        return outcome(_Merge.ACCOUNT_MERGE_HAS_SUB_ENTRIES)
    if source.sequence >= starting_sequence(ctx.header.sequence):
        # Created again in this ledger, the account could use old sequence numbers a second time.
        return outcome(_Merge.ACCOUNT_MERGE_SEQNUM_TOO_FAR)
    if not give_native(view=ctx.view, account=recipient, amount=source.balance):
        return outcome(_Merge.ACCOUNT_MERGE_DEST_FULL)
    ctx.view.delete(source.key)
    ctx.transfers.append(
        Transfer(
            kind="account_merge",
            operation_index=ctx.index,
            sender=ctx.source,
            recipient=recipient.account_id,
            recipient_mux=mux_of(ctx.body.destination),
            asset=None,
            amount=source.balance,
        )
    )
    return merged(source.balance)


def _check_bump(body: xdr.OperationBody, _source: AccountId) -> Outcome | None:
    assert body.bump_sequence_op is not None
    if body.bump_sequence_op.bump_to.sequence_number.int64 < 0:
        return outcome(_Bump.BUMP_SEQUENCE_BAD_SEQ)
    return None


def _apply_bump(ctx: Context) -> Outcome:
    assert ctx.body.bump_sequence_op is not None
    bump_to = ctx.body.bump_sequence_op.bump_to.sequence_number.int64
    source = ctx.source_account()
    if source.sequence < bump_to:  # bumping backwards succeeds and changes nothing
        ctx.view.put(
            replace(
                source,
                sequence=bump_to,
                sequence_ledger=ctx.header.sequence,
                sequence_time=ctx.header.close_time,
            )
        )
    return outcome(_Bump.BUMP_SEQUENCE_SUCCESS)


RULES: Final = {
    xdr.OperationType.CREATE_ACCOUNT: Rule(
        threshold=always(Threshold.MEDIUM),
        check=_check_create,
        apply=_apply_create,
        success=outcome(_Create.CREATE_ACCOUNT_SUCCESS),
    ),
    xdr.OperationType.ACCOUNT_MERGE: Rule(
        threshold=always(Threshold.HIGH),
        check=_check_merge,
        apply=_apply_merge,
        success=merged(0),
    ),
    xdr.OperationType.BUMP_SEQUENCE: Rule(
        threshold=always(Threshold.LOW),
        check=_check_bump,
        apply=_apply_bump,
        success=outcome(_Bump.BUMP_SEQUENCE_SUCCESS),
    ),
}
