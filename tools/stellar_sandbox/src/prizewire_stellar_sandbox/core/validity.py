"""Whether a transaction may enter a ledger: fee, time, sequence number, signatures, operations.

The order of the checks is stellar-core's (TransactionFrame and FeeBumpTransactionFrame), since it decides which
code a client sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from stellar_sdk import xdr
from stellar_sdk.xdr import OperationResultCode
from stellar_sdk.xdr import TransactionResultCode as Code

from prizewire_stellar_sandbox.core.balances import available_balance
from prizewire_stellar_sandbox.core.frames import FeeBumpFrame, Frame, TransactionFrame, account_of
from prizewire_stellar_sandbox.core.model import (
    INT64_MAX,
    Account,
    AccountId,
    LedgerHeader,
    Signer,
    starting_sequence,
)
from prizewire_stellar_sandbox.core.operations import outcome, rule_of
from prizewire_stellar_sandbox.core.results import frame_result, plain_result
from prizewire_stellar_sandbox.core.signatures import SignatureChecker, ed25519_signer, is_empty_payload
from prizewire_stellar_sandbox.core.view import View


class Stage(IntEnum):
    """How far a transaction got. From UPDATE_SEQUENCE on, an applied one uses its sequence number up."""

    INVALID = 0
    UPDATE_SEQUENCE = 1
    POST_AUTH = 2
    VALID = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """When a transaction is judged.

    ``header`` is the ledger that it would be in. Before that ledger is closed its close time is unknown: it lies
    between ``earliest_close`` (which lower bounds are held against) and ``latest_close`` (for upper bounds).
    """

    header: LedgerHeader
    earliest_close: int
    latest_close: int

    @staticmethod
    def applying(header: LedgerHeader) -> Moment:
        """The ledger that is being closed: its time is known."""
        return Moment(header, header.close_time, header.close_time)


def minimum_fee(frame: Frame, header: LedgerHeader) -> int:
    """The least inclusion fee, in stroops: the base fee for each operation, and for at least one."""
    return header.base_fee * max(1, frame.operation_count)


def check(frame: Frame, *, view: View, moment: Moment) -> bytes | None:
    """Judge a transaction before it is applied.

    Returns:
        None if it is valid, else the TransactionResult XDR that says why not.
    """
    if isinstance(frame, FeeBumpFrame):
        refused = _check_fee_bump(frame, view=view, moment=moment)
        if refused is not None:
            return refused
    fee = minimum_fee(frame, moment.header)
    inner = frame.inner
    checker = SignatureChecker(transaction_hash=inner.hash, signatures=inner.signatures)
    stage, code = common_valid(
        inner,
        checker=checker,
        view=view,
        moment=moment,
        applying=False,
        charge_fee=inner is frame,
    )
    if stage is not Stage.VALID:
        return frame_result(frame=frame, code=code, fee=fee)
    results: list[xdr.OperationResult] = []
    for operation in inner.operations:
        failure = _check_operation(inner, operation, checker=checker, view=view)
        if failure is not None:
            return frame_result(frame=frame, code=Code.txFAILED, fee=fee, operations=[*results, failure])
        results.append(rule_of(operation).success.result)
    if not checker.all_used():
        return frame_result(frame=frame, code=Code.txBAD_AUTH_EXTRA, fee=fee)
    return None


def common_valid(
    tx: TransactionFrame,
    *,
    checker: SignatureChecker,
    view: View,
    moment: Moment,
    applying: bool,
    charge_fee: bool,
) -> tuple[Stage, Code]:
    """The checks that submission and apply share.

    ``charge_fee`` is False for the inner transaction of a fee bump, whose own fee does not count.
    """
    code = _before_sequence(tx, moment, charge_fee=charge_fee)
    if code is not None:
        return Stage.INVALID, code
    source = view.account(tx.source)
    if source is None:
        return Stage.INVALID, Code.txNO_ACCOUNT
    if _is_bad_sequence(tx, source, moment.header):
        return Stage.INVALID, Code.txBAD_SEQ
    if _is_too_early_for_account(tx, source, moment):
        return Stage.UPDATE_SEQUENCE, Code.txBAD_MIN_SEQ_AGE_OR_GAP
    if not checker.account_allows(source, threshold=source.thresholds[1]):
        return Stage.UPDATE_SEQUENCE, Code.txBAD_AUTH
    extra = [Signer(key, 1) for key in tx.preconditions.extra_signers]
    if extra and not checker.allows(extra, threshold=len(extra)):
        return Stage.UPDATE_SEQUENCE, Code.txBAD_AUTH
    # When applying, the fee has been taken already.
    fee = 0 if applying or not charge_fee else tx.fee
    if charge_fee and available_balance(account=source, header=moment.header) < fee:
        return Stage.POST_AUTH, Code.txINSUFFICIENT_BALANCE
    return Stage.VALID, Code.txSUCCESS


def _before_sequence(tx: TransactionFrame, moment: Moment, *, charge_fee: bool) -> Code | None:
    conditions = tx.preconditions
    extra = conditions.extra_signers
    if len(set(extra)) < len(extra) or any(is_empty_payload(key) for key in extra):
        return Code.txMALFORMED
    if not tx.operations:
        return Code.txMISSING_OPERATION
    if tx.has_soroban_data != _is_soroban(tx):
        return Code.txMALFORMED
    sequence = moment.header.sequence
    if moment.earliest_close < conditions.min_time or sequence < conditions.min_ledger:
        return Code.txTOO_EARLY
    if 0 < conditions.max_time < moment.latest_close or 0 < conditions.max_ledger <= sequence:
        return Code.txTOO_LATE
    if charge_fee and tx.fee < minimum_fee(tx, moment.header):
        return Code.txINSUFFICIENT_FEE
    return None


def _is_soroban(tx: TransactionFrame) -> bool:
    return tx.operations[0].body.type in (
        xdr.OperationType.INVOKE_HOST_FUNCTION,
        xdr.OperationType.EXTEND_FOOTPRINT_TTL,
        xdr.OperationType.RESTORE_FOOTPRINT,
    )


def _is_bad_sequence(tx: TransactionFrame, source: Account, header: LedgerHeader) -> bool:
    if tx.sequence == starting_sequence(header.sequence):
        return True  # an account created in this ledger could otherwise have it a second time
    least = tx.preconditions.min_sequence
    if least is not None:
        return source.sequence < least or source.sequence >= tx.sequence
    return source.sequence == INT64_MAX or source.sequence + 1 != tx.sequence


def _is_too_early_for_account(tx: TransactionFrame, source: Account, moment: Moment) -> bool:
    age, gap = tx.preconditions.min_sequence_age, tx.preconditions.min_sequence_ledger_gap
    return (
        age > moment.earliest_close
        or moment.earliest_close - age < source.sequence_time
        or gap > moment.header.sequence
        or moment.header.sequence - gap < source.sequence_ledger
    )


def _check_operation(
    tx: TransactionFrame, operation: xdr.Operation, *, checker: SignatureChecker, view: View
) -> xdr.OperationResult | None:
    code = operation_auth(tx, operation, checker=checker, view=view)
    if code is not None:
        return outcome(code).result
    source = operation_source(tx, operation)
    failure = rule_of(operation).check(operation.body, source)
    return None if failure is None else failure.result


def operation_source(tx: TransactionFrame, operation: xdr.Operation) -> AccountId:
    """The account that an operation acts for: its own source, or the transaction's."""
    return tx.source if operation.source_account is None else account_of(operation.source_account)


def operation_auth(
    tx: TransactionFrame, operation: xdr.Operation, *, checker: SignatureChecker, view: View
) -> OperationResultCode | None:
    """Whether the operation's source signed for it with enough weight.

    A source that does not exist yet may be created by an earlier operation of the same transaction; it needs
    its own key's signature.
    """
    source = operation_source(tx, operation)
    account = view.account(source)
    if account is None:
        if operation.source_account is None:
            return OperationResultCode.opNO_ACCOUNT
        if not checker.allows([Signer(ed25519_signer(source), 1)], threshold=0):
            return OperationResultCode.opBAD_AUTH
        return None
    needed = account.thresholds[rule_of(operation).threshold(operation.body)]
    if not checker.account_allows(account, threshold=needed):
        return OperationResultCode.opBAD_AUTH
    return None


def _check_fee_bump(frame: FeeBumpFrame, *, view: View, moment: Moment) -> bytes | None:
    header = moment.header
    least, inner_least = minimum_fee(frame, header), minimum_fee(frame.inner, header)
    if frame.fee < 0:
        return plain_result(code=Code.txMALFORMED, fee=0)
    if frame.fee < least:
        return plain_result(code=Code.txINSUFFICIENT_FEE, fee=least)
    # The bump must pay at least as much for each operation as the inner transaction offers.
    if frame.fee * inner_least < frame.inner.fee * least:
        needed = -(-frame.inner.fee * least // inner_least)
        return plain_result(code=Code.txINSUFFICIENT_FEE, fee=min(needed, INT64_MAX))
    payer = view.account(frame.fee_source)
    if payer is None:
        return plain_result(code=Code.txNO_ACCOUNT, fee=least)
    checker = SignatureChecker(transaction_hash=frame.hash, signatures=frame.signatures)
    if not checker.account_allows(payer, threshold=payer.thresholds[1]):
        return plain_result(code=Code.txBAD_AUTH, fee=least)
    if available_balance(account=payer, header=header) < frame.fee:
        return plain_result(code=Code.txINSUFFICIENT_BALANCE, fee=least)
    if not checker.all_used():
        return plain_result(code=Code.txBAD_AUTH_EXTRA, fee=least)
    return None
