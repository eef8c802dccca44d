"""What the signer's refusals mean for one payment."""

from collections.abc import Mapping

from prizewire_contracts.codes import PayoutCode

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
