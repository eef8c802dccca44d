"""TransactionResult XDR: the result of a transaction and of each operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stellar_sdk import xdr
from stellar_sdk.xdr import TransactionResultCode as Code

from prizewire_stellar_sandbox.core.frames import FeeBumpFrame, Frame
from prizewire_stellar_sandbox.core.operations import rule_of

_WITH_OPERATIONS: Final = (Code.txSUCCESS, Code.txFAILED)


def plain_result(*, code: Code, fee: int) -> bytes:
    """A result without operations: the transaction itself was refused."""
    return _pack(fee, xdr.TransactionResultResult(code))


def frame_result(
    *, frame: Frame, code: Code, fee: int, operations: Sequence[xdr.OperationResult] = ()
) -> bytes:
    """The result of judging or applying the (inner) transaction.

    For a fee bump it is wrapped: the outer code says only whether the inner one succeeded, and the inner fee is
    zero since protocol 25. Operations that were not reached show the success of their type, as on the network.
    """
    shown: list[xdr.OperationResult] | None = None
    if code in _WITH_OPERATIONS:
        missed = frame.inner.operations[len(operations) :]
        shown = [*operations, *(rule_of(operation).success.result for operation in missed)]
    if not isinstance(frame, FeeBumpFrame):
        return _pack(fee, xdr.TransactionResultResult(code, results=shown))
    inner = xdr.InnerTransactionResultPair(
        xdr.Hash(frame.inner.hash),
        xdr.InnerTransactionResult(
            xdr.Int64(0),
            xdr.InnerTransactionResultResult(code, results=shown),
            xdr.InnerTransactionResultExt(0),
        ),
    )
    outer = Code.txFEE_BUMP_INNER_SUCCESS if code == Code.txSUCCESS else Code.txFEE_BUMP_INNER_FAILED
    return _pack(fee, xdr.TransactionResultResult(outer, inner_result_pair=inner))


def _pack(fee: int, result: xdr.TransactionResultResult) -> bytes:
    return xdr.TransactionResult(xdr.Int64(fee), result, xdr.TransactionResultExt(0)).to_xdr_bytes()
