"""What result codes of the network mean for one payment."""

from collections.abc import Mapping, Sequence

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.stellar.domain.model import OperationResult

PAYMENT_CODES: Mapping[str, PayoutCode] = {
    "PAYMENT_MALFORMED": PayoutCode.DESTINATION_INVALID,
    "PAYMENT_UNDERFUNDED": PayoutCode.TREASURY_UNDERFUNDED,
    "PAYMENT_SRC_NO_TRUST": PayoutCode.TREASURY_UNDERFUNDED,
    "PAYMENT_SRC_NOT_AUTHORIZED": PayoutCode.RAIL_UNAVAILABLE,
    "PAYMENT_NO_DESTINATION": PayoutCode.DESTINATION_MISSING,
    "PAYMENT_NO_TRUST": PayoutCode.NO_TRUSTLINE,
    "PAYMENT_NOT_AUTHORIZED": PayoutCode.NOT_AUTHORIZED,
    "PAYMENT_LINE_FULL": PayoutCode.LINE_FULL,
    "PAYMENT_NO_ISSUER": PayoutCode.RAIL_UNSUPPORTED,
}
"""``PaymentResultCode`` of stellar-xdr, success aside → our stable code."""

NOT_RUN: frozenset[str] = frozenset(
    {
        "opBAD_AUTH",
        "opNO_ACCOUNT",
        "opNOT_SUPPORTED",
        "opTOO_MANY_SUBENTRIES",
        "opEXCEEDED_WORK_LIMIT",
        "opTOO_MANY_SPONSORING",
    }
)
"""``OperationResultCode`` values of an operation that was not run: they speak of the source, never of a payee."""


def failed_operations(results: Sequence[OperationResult]) -> dict[int, str]:
    """The operations that failed themselves, with the stable code of each; the others failed only with their transaction.

    A code that is not in the table is answered with ``tx_failed``: proven without effect, since the transaction
    failed as a whole.
    """
    codes: dict[int, str] = {}
    for index, result in enumerate(results):
        if result.operation in NOT_RUN or result.inner is None or result.inner == "PAYMENT_SUCCESS":
            continue
        codes[index] = PAYMENT_CODES.get(result.inner, PayoutCode.TX_FAILED)
    return codes
