"""The reasons for which the signer does not sign, and the failures around it.

Refused answers carry a ``Code``. Exceptions:

SignerError
├── UnreadableTransaction      the XDR is no plain transaction; the code has the reason
├── MismatchedClosing          an authentic slot_closed that contradicts what was signed
├── BindingRace                another signer committed in between; decide again from the new records
├── BackendError               a key backend failed; see code and retryable
└── PolicyInvalid              the policy file is unusable: the signer does not start
"""

from enum import StrEnum


class Code(StrEnum):
    """Stable reasons in ``signing.refused`` and ``signing.close_refused``. A code never changes its meaning."""

    # the request itself
    KIND_NOT_SUPPORTED = "kind_not_supported"
    CHAIN_NOT_SUPPORTED = "chain_not_supported"
    SLOT_MISMATCH = "slot_mismatch"
    NO_ITEMS = "no_items"
    ITEMS_NOT_ALLOWED = "items_not_allowed"
    # the approval by payouts
    APPROVAL_SIGNATURE_INVALID = "approval_signature_invalid"
    APPROVAL_KEY_NOT_TRUSTED = "approval_key_not_trusted"
    APPROVAL_MISMATCH = "approval_mismatch"
    NETWORK_MISMATCH = "network_mismatch"
    # the decoded transaction
    XDR_MALFORMED = "xdr_malformed"
    ENVELOPE_NOT_PLAIN = "envelope_not_plain"
    ENVELOPE_SIGNED = "envelope_signed"
    HASH_MISMATCH = "hash_mismatch"
    SOURCE_MISMATCH = "source_mismatch"
    SOURCE_NOT_ALLOWED = "source_not_allowed"
    SEQUENCE_MISMATCH = "sequence_mismatch"
    TIME_BOUNDS_MISSING = "time_bounds_missing"
    TIME_BOUNDS_MISMATCH = "time_bounds_mismatch"
    TIME_BOUNDS_TOO_LONG = "time_bounds_too_long"
    TIME_BOUNDS_PASSED = "time_bounds_passed"
    PRECONDITIONS_NOT_ALLOWED = "preconditions_not_allowed"
    SOROBAN_NOT_ALLOWED = "soroban_not_allowed"
    FEE_OVER_CAP = "fee_over_cap"
    FEE_CAP_OVER_POLICY = "fee_cap_over_policy"
    MEMO_NOT_ALLOWED = "memo_not_allowed"
    OPERATION_NOT_ALLOWED = "operation_not_allowed"
    OPERATION_HAS_EFFECT = "operation_has_effect"
    OPERATION_COUNT_MISMATCH = "operation_count_mismatch"
    OPERATIONS_OVER_LIMIT = "operations_over_limit"
    # the slot
    SLOT_CLOSED = "slot_closed"
    SLOT_UNKNOWN = "slot_unknown"
    DIGESTS_OVER_CAP = "digests_over_cap"
    VOIDS_OVER_CAP = "voids_over_cap"
    DIGEST_TAKEN = "digest_taken"
    RECORD_MISSING = "record_missing"
    # one item
    ITEM_ORDER_MISMATCH = "item_order_mismatch"
    PAYOUT_REPEATED = "payout_repeated"
    OPERATION_SOURCE_MISMATCH = "operation_source_mismatch"
    INTENT_SIGNATURE_INVALID = "intent_signature_invalid"
    INTENT_KEY_NOT_TRUSTED = "intent_key_not_trusted"
    INTENT_VERSION_NOT_SUPPORTED = "intent_version_not_supported"
    INTENT_MISMATCH = "intent_mismatch"
    INTENT_EXPIRED = "intent_expired"
    INTENT_TERMS_CHANGED = "intent_terms_changed"
    RAIL_NOT_ALLOWED = "rail_not_allowed"
    ASSET_NOT_ALLOWED = "asset_not_allowed"
    ASSET_MISMATCH = "asset_mismatch"
    AMOUNT_MALFORMED = "amount_malformed"
    AMOUNT_MISMATCH = "amount_mismatch"
    AMOUNT_OVER_WAY = "amount_over_way"
    DESTINATION_MISMATCH = "destination_mismatch"
    DESTINATION_NOT_ALLOWED = "destination_not_allowed"
    MEMO_MISMATCH = "memo_mismatch"
    PAYOUT_TOMBSTONED = "payout_tombstoned"
    PAYOUT_PAID = "payout_paid"
    PAYOUT_BOUND_ELSEWHERE = "payout_bound_elsewhere"
    PAYOUT_WAITS = "payout_waits"
    PAYOUT_BOUND = "payout_bound"
    SLOTS_OVER_CAP = "slots_over_cap"
    PAYOUT_OVER_LIMIT = "payout_over_limit"
    DAY_OVER_LIMIT = "day_over_limit"
    AGAIN_OVER_LIMIT = "again_over_limit"


class BackendCode(StrEnum):
    """Reasons for which a key backend gave no usable signature."""

    KEY_UNKNOWN = "key_unknown"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    PERMISSION_DENIED = "permission_denied"
    WRONG_KEY_TYPE = "wrong_key_type"
    SIGNATURE_WRONG = "signature_wrong"


RETRYABLE_BACKEND_CODES = frozenset({BackendCode.THROTTLED, BackendCode.UNAVAILABLE})


class SignerError(Exception):
    """Root of the signer's errors."""


class UnreadableTransaction(SignerError):
    """The bytes are no transaction that may be examined."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class MismatchedClosing(SignerError):
    """The end of a slot that payouts reports contradicts what was signed here."""


class BindingRace(SignerError):
    """A row that was absent in the read records exists now. Nothing was written; a retry decides again."""


class BackendError(SignerError):
    """No usable signature. The work keeps its state and is tried again; ``retryable`` says whether a retry can succeed."""

    def __init__(self, code: BackendCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.retryable = code in RETRYABLE_BACKEND_CODES


class PolicyInvalid(SignerError):
    """The policy file is missing, malformed, or names what does not exist."""
