"""Closing a ledger: select the valid transactions, take the fees, apply in a pseudo-random order.

As on the network, every fee of the ledger is taken before the first transaction is applied; a transaction that
fails keeps its fee and its sequence number and rolls everything else back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from stellar_sdk import xdr
from stellar_sdk.xdr import OperationResultCode
from stellar_sdk.xdr import TransactionResultCode as Code

from prizewire_stellar_sandbox.core.balances import available_balance
from prizewire_stellar_sandbox.core.frames import FeeBumpFrame, Frame, TransactionFrame
from prizewire_stellar_sandbox.core.meta import Difference, transaction_meta
from prizewire_stellar_sandbox.core.model import Account, AccountId, Entry, Key, LedgerHeader, Transfer
from prizewire_stellar_sandbox.core.operations import Context, outcome, rule_of
from prizewire_stellar_sandbox.core.results import frame_result
from prizewire_stellar_sandbox.core.signatures import SignatureChecker, pre_auth_signer
from prizewire_stellar_sandbox.core.validity import (
    Moment,
    Stage,
    check,
    common_valid,
    minimum_fee,
    operation_auth,
    operation_source,
)
from prizewire_stellar_sandbox.core.view import Entries, View


@dataclass(frozen=True, slots=True)
class AppliedTransaction:
    """A transaction that a ledger holds. ``order`` counts from 1; ``fee`` is what was charged, in stroops."""

    frame: Frame
    order: int
    succeeded: bool
    fee: int
    result: bytes
    meta: bytes
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True, slots=True)
class ClosedLedger:
    """A ledger as it was closed. ``changes`` maps each changed key to its entry, None where it was removed.

    ``dropped`` transactions were not valid any more and changed nothing; the network refuses them for a while.
    """

    header: LedgerHeader
    transactions: tuple[AppliedTransaction, ...]
    changes: dict[Key, Entry | None]
    dropped: tuple[Frame, ...]


def close_ledger(
    *,
    entries: Entries,
    previous: LedgerHeader,
    header: LedgerHeader,
    order_seed: bytes,
    candidates: Sequence[Frame],
) -> Generator[None, None, ClosedLedger]:
    """Close a ledger over ``entries`` without touching them.

    A generator, so that its caller may do other work between two transactions.

    Args:
        entries: the state as of ``previous``.
        previous: the last closed ledger.
        header: the ledger to close, its fee pool still that of ``previous``.
        order_seed: 32 bytes that decide the order of application.
        candidates: queued transactions, at most one for each source account.
    """
    ledger = View(entries)
    chosen, dropped = yield from _select(ledger, previous, header, candidates)
    chosen.sort(key=lambda frame: bytes(a ^ b for a, b in zip(frame.hash, order_seed, strict=True)))
    fees = [_take_fee(frame, view=ledger, header=header) for frame in chosen]
    applied: list[AppliedTransaction] = []
    for order, (frame, fee) in enumerate(zip(chosen, fees, strict=True), start=1):
        applied.append(_apply(frame, view=ledger, header=header, order=order, fee=fee))
        yield
    return ClosedLedger(
        header=replace(header, fee_pool=header.fee_pool + sum(fees)),
        transactions=tuple(applied),
        changes={
            key: None if entry is None else replace(entry, modified_ledger=header.sequence)
            for key, entry in ledger.changes.items()
        },
        dropped=tuple(dropped),
    )


def _select(
    view: View, previous: LedgerHeader, header: LedgerHeader, candidates: Sequence[Frame]
) -> Generator[None, None, tuple[list[Frame], list[Frame]]]:
    """Those candidates that are valid now, each payer able to pay all the fees it bid."""
    moment = Moment.applying(replace(previous, sequence=header.sequence, close_time=header.close_time))
    chosen: list[Frame] = []
    dropped: list[Frame] = []
    bids: Counter[AccountId] = Counter()
    for frame in candidates:
        payer = view.account(frame.fee_source)
        bid = bids[frame.fee_source] + frame.fee
        if (
            payer is None
            or available_balance(account=payer, header=header) < bid
            or check(frame, view=view, moment=moment) is not None
        ):
            dropped.append(frame)
        else:
            bids[frame.fee_source] = bid
            chosen.append(frame)
        yield
    return chosen, dropped


def _take_fee(frame: Frame, *, view: View, header: LedgerHeader) -> int:
    """Charge the base fee for each operation (never more than was bid, nor than the payer has)."""
    payer = view.account(frame.fee_source)
    assert payer is not None
    fee = min(frame.fee, minimum_fee(frame, header), payer.balance)
    view.put(replace(payer, balance=payer.balance - fee))
    return fee


def _apply(frame: Frame, *, view: View, header: LedgerHeader, order: int, fee: int) -> AppliedTransaction:
    tx = frame.inner
    prologue = view.layer()
    if isinstance(frame, FeeBumpFrame):
        _remove_pre_auth_signer(prologue, frame.fee_source, frame.hash)
    checker = SignatureChecker(transaction_hash=tx.hash, signatures=tx.signatures)
    code, results = _prepare(tx, checker=checker, view=prologue, header=header, charge_fee=tx is frame)
    before = prologue.differences()
    prologue.commit()
    changes: list[list[Difference]] = []
    transfers: list[Transfer] = []
    if code == Code.txSUCCESS:
        body = view.layer()
        results, changes = _apply_operations(tx, view=body, header=header, transfers=transfers)
        if len(changes) == len(tx.operations):
            body.commit()
        else:
            code = Code.txFAILED
    succeeded = code == Code.txSUCCESS
    return AppliedTransaction(
        frame=frame,
        order=order,
        succeeded=succeeded,
        fee=fee,
        result=frame_result(frame=frame, code=code, fee=fee, operations=results),
        meta=transaction_meta(ledger=header.sequence, before=before, operations=changes if succeeded else []),
        transfers=tuple(transfers) if succeeded else (),
    )


def _prepare(
    tx: TransactionFrame,
    *,
    checker: SignatureChecker,
    view: View,
    header: LedgerHeader,
    charge_fee: bool,
) -> tuple[Code, list[xdr.OperationResult]]:
    """Judge the transaction once more (an earlier one may have changed its accounts), use its sequence number
    up, and judge every operation's signatures before the first is applied.
    """
    stage, code = common_valid(
        tx,
        checker=checker,
        view=view,
        moment=Moment.applying(header),
        applying=True,
        charge_fee=charge_fee,
    )
    if stage >= Stage.UPDATE_SEQUENCE:
        source = view.account(tx.source)
        assert source is not None
        view.put(
            replace(
                source,
                sequence=tx.sequence,
                sequence_ledger=header.sequence,
                sequence_time=header.close_time,
            )
        )
    results: list[xdr.OperationResult] = []
    if stage is Stage.VALID:
        failures = [operation_auth(tx, operation, checker=checker, view=view) for operation in tx.operations]
        if any(failure is not None for failure in failures):
            code = Code.txFAILED
            results = [
                rule_of(operation).success.result if failure is None else outcome(failure).result
                for operation, failure in zip(tx.operations, failures, strict=True)
            ]
        elif not checker.all_used():
            code = Code.txBAD_AUTH_EXTRA
    for account_id in {tx.source, *(operation_source(tx, operation) for operation in tx.operations)}:
        _remove_pre_auth_signer(view, account_id, tx.hash)
    return code, results


def _apply_operations(
    tx: TransactionFrame, *, view: View, header: LedgerHeader, transfers: list[Transfer]
) -> tuple[list[xdr.OperationResult], list[list[Difference]]]:
    """Apply every operation, the ones after a failure too: their codes are part of the result.

    Returns:
        The results, and the changes of each operation up to the first that failed.
    """
    results: list[xdr.OperationResult] = []
    changes: list[list[Difference]] = []
    for index, operation in enumerate(tx.operations):
        layer = view.layer()
        source = operation_source(tx, operation)
        rule = rule_of(operation)
        if view.account(source) is None:
            done = outcome(OperationResultCode.opNO_ACCOUNT)
        else:
            context = Context(
                view=layer,
                header=header,
                source=source,
                body=operation.body,
                index=index,
                transfers=transfers,
            )
            done = rule.apply(context)  # what can be judged without the ledger was judged before
        if done.succeeded:
            if len(changes) == index:
                changes.append(layer.differences())
            layer.commit()
        results.append(done.result)
    return results, changes


def _remove_pre_auth_signer(view: View, account_id: AccountId, transaction_hash: bytes) -> None:
    """Remove a signer that was for exactly this transaction, whether it succeeded or not."""
    account: Account | None = view.account(account_id)
    if account is None or not account.signers:
        return
    gone = pre_auth_signer(transaction_hash)
    signers = tuple(signer for signer in account.signers if signer.key != gone)
    if len(signers) < len(account.signers):
        view.put(replace(account, signers=signers, subentries=account.subentries - 1))
