"""Payout codes of the signer's refusals, and of the network's result codes."""

from collections.abc import Mapping, Sequence

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.stellar.domain.model import OperationResult

SIGNER_WAITS = frozenset({"payout_bound_elsewhere", "payout_waits"})
"""Codes of an item that must wait: the signer has not read yet that the payout's earlier slot is closed, or a digest that
it signed there might still be applied. The item leaves its batch, and is asked for again.
"""
ITEM_CODES: Mapping[str, PayoutCode] = {
    "day_over_limit": PayoutCode.SIGNER_LIMIT,
    "again_over_limit": PayoutCode.SIGNER_LIMIT,
    "intent_expired": PayoutCode.INTENT_EXPIRED,
}
"""Codes of an item that end its attempt without ending the payout; every other code gives the payout up."""
STALE = "time_bounds_passed"
"""The code of a request that the signer read too late. Such a refusal is not counted."""
SLOT_FULL = "digests_over_cap"
"""The code of a slot on which the signer signs no more payments: it must be voided."""
SLOT_UNSIGNED = "slot_unknown"
"""The code of a slot that is to be voided and on which the signer never signed: nothing is bound to it."""


def code_of(signer_code: str) -> PayoutCode:
    """Why a payment ends that the signer refused with this code."""
    return ITEM_CODES.get(signer_code, PayoutCode.SIGNER_REFUSED)


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
"""``OperationResultCode`` values of an operation that was not run: they are about the source, never about a payee."""


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
