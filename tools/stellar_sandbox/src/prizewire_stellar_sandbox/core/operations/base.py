"""What every operation has in common: its context, its outcome, its rule in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.model import Account, AccountId, LedgerHeader, Transfer
from prizewire_stellar_sandbox.core.view import View


class Threshold(IntEnum):
    """Which of the source account's thresholds an operation asks for: the index into ``thresholds``."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Outcome(NamedTuple):
    """An operation's result, and whether it is a success."""

    result: xdr.OperationResult
    succeeded: bool


@dataclass(frozen=True, slots=True)
class Context:
    """What an operation may see and touch while it is applied."""

    view: View
    header: LedgerHeader
    source: AccountId
    body: xdr.OperationBody
    index: int
    transfers: list[Transfer]

    def source_account(self) -> Account:
        """The operation's source. It was seen to exist just before."""
        account = self.view.account(self.source)
        assert account is not None
        return account


@dataclass(frozen=True, slots=True)
class Rule:
    """How one operation type is judged and applied.

    ``check`` sees the operation alone (no ledger) and answers a failure or None; ``apply`` changes the view
    and always answers. ``success`` is the code shown for an operation that was not reached.
    """

    threshold: Callable[[xdr.OperationBody], Threshold]
    check: Callable[[xdr.OperationBody, AccountId], Outcome | None]
    apply: Callable[[Context], Outcome]
    success: Outcome


class _Arm(NamedTuple):
    type: xdr.OperationType
    field: str
    result: Any


# The result union of each operation: which arm of OperationResultTr its codes belong to.
_ARMS: Final[dict[type, _Arm]] = {
    xdr.CreateAccountResultCode: _Arm(
        xdr.OperationType.CREATE_ACCOUNT, "create_account_result", xdr.CreateAccountResult
    ),
    xdr.PaymentResultCode: _Arm(xdr.OperationType.PAYMENT, "payment_result", xdr.PaymentResult),
    xdr.SetOptionsResultCode: _Arm(xdr.OperationType.SET_OPTIONS, "set_options_result", xdr.SetOptionsResult),
    xdr.ChangeTrustResultCode: _Arm(
        xdr.OperationType.CHANGE_TRUST, "change_trust_result", xdr.ChangeTrustResult
    ),
    xdr.AllowTrustResultCode: _Arm(xdr.OperationType.ALLOW_TRUST, "allow_trust_result", xdr.AllowTrustResult),
    xdr.AccountMergeResultCode: _Arm(
        xdr.OperationType.ACCOUNT_MERGE, "account_merge_result", xdr.AccountMergeResult
    ),
    xdr.ManageDataResultCode: _Arm(xdr.OperationType.MANAGE_DATA, "manage_data_result", xdr.ManageDataResult),
    xdr.BumpSequenceResultCode: _Arm(
        xdr.OperationType.BUMP_SEQUENCE, "bump_seq_result", xdr.BumpSequenceResult
    ),
    xdr.SetTrustLineFlagsResultCode: _Arm(
        xdr.OperationType.SET_TRUST_LINE_FLAGS,
        "set_trust_line_flags_result",
        xdr.SetTrustLineFlagsResult,
    ),
}


@lru_cache(maxsize=256, typed=True)  # codes of different operations are equal as numbers
def outcome(code: Any) -> Outcome:
    """The result that carries one code: an operation's own, or one of OperationResultCode."""
    if isinstance(code, xdr.OperationResultCode):
        return Outcome(xdr.OperationResult(code), succeeded=False)
    arm = _ARMS[type(code)]
    return _inner(arm, arm.result(code), succeeded=code.value == 0)


def merged(balance: int) -> Outcome:
    """The one success that says more than a code: an account merge and the balance that it moved."""
    arm = _ARMS[xdr.AccountMergeResultCode]
    result = xdr.AccountMergeResult(
        xdr.AccountMergeResultCode.ACCOUNT_MERGE_SUCCESS, source_account_balance=xdr.Int64(balance)
    )
    return _inner(arm, result, succeeded=True)


def _inner(arm: _Arm, result: object, *, succeeded: bool) -> Outcome:
    arms: dict[str, Any] = {arm.field: result}
    tr = xdr.OperationResultTr(arm.type, **arms)
    return Outcome(xdr.OperationResult(xdr.OperationResultCode.opINNER, tr), succeeded)


def always(threshold: Threshold) -> Callable[[xdr.OperationBody], Threshold]:
    """A threshold that does not depend on what the operation does."""
    return lambda _body: threshold
