"""Stable codes: why a message was refused, why a payout attempt ended, and whether to try again.

Codes are a public contract. They appear in stuck events, problem details, payout events and metrics; a code
never changes its meaning. Programs compare codes, never sentences.
"""

from enum import StrEnum


class RefusalCode(StrEnum):
    """Why an event was not applied. The first group is dead on arrival; the second parks its subject, where it may still
    be applied one day.
    """

    # dead: refused before it touches state; parks nothing
    NOT_JSON = "not_json"
    NOT_CLOUDEVENT = "not_cloudevent"
    MESSAGE_TOO_LARGE = "message_too_large"
    BATCH_UNREADABLE = "batch_unreadable"
    UNKNOWN_TYPE = "unknown_type"
    UNSUPPORTED_VERSION = "unsupported_version"
    FLOAT_REFUSED = "float_refused"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    SCHEMA_INVALID = "schema_invalid"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_INVALID = "signature_invalid"
    KEY_NOT_TRUSTED = "key_not_trusted"
    SOURCE_NOT_ALLOWED = "source_not_allowed"
    ID_CONFLICT = "id_conflict"
    VERSION_CONFLICT = "version_conflict"
    COMPETITION_UNKNOWN = "competition_unknown"
    CORRELATION_MISMATCH = "correlation_mismatch"
    RESULT_CONFLICT = "result_conflict"
    DISPUTE_WINDOW_PASSED = "dispute_window_passed"
    ENTRY_NOT_OFFERED = "entry_not_offered"
    PART_UNPROVED = "part_unproved"
    DUPLICATE_PLAYER = "duplicate_player"
    SCORE_MISSING = "score_missing"
    TIE_REFUSED = "tie_refused"
    INVALID_AMOUNT = "invalid_amount"
    INTENT_INVALID = "intent_invalid"
    # parked: authentic, but cannot be applied now
    NOT_SUPPORTED_YET = "not_supported_yet"
    ILLEGAL_TRANSITION = "illegal_transition"
    VERSION_GAP = "version_gap"
    RESULT_MISSING = "result_missing"
    ASSET_UNKNOWN = "asset_unknown"
    DIGEST_MISMATCH = "digest_mismatch"
    EVENT_MISMATCH = "event_mismatch"
    CLOSURE_INVALID = "closure_invalid"
    AMOUNT_TOO_LARGE = "amount_too_large"
    FEE_TOO_LARGE = "fee_too_large"
    SUBJECT_PARKED = "subject_parked"
    HANDLER_ERROR = "handler_error"


class RetryRefusal(StrEnum):
    """Why rewards files no new payout for an ended one that an operator retries. The money stays where it is."""

    INSUFFICIENT_BALANCE = "insufficient_balance"
    NO_PAYOUT_METHOD = "no_payout_method"
    METHOD_UNKNOWN = "method_unknown"
    METHOD_TYPE_UNSERVED = "method_type_unserved"
    ALREADY_RETRIED = "already_retried"
    QUOTE_REQUIRED = "quote_required"
    INTENT_INVALID = "intent_invalid"


class RetryDecision(StrEnum):
    """What may follow an attempt that ended with a code."""

    RETRY = "retry"
    """Proven without effect and worth another attempt."""
    GIVE_UP = "give_up"
    """Proven without effect, and no attempt can succeed: the payout fails."""
    LOOK_UP = "look_up"
    """The outcome is not known: only a look-up by our own key may follow."""
    WAIT = "wait"
    """Proven without effect because of a limit that ends with time: another attempt follows later, and this one does not count."""
    HOLD = "hold"
    """Proven without effect, and the next attempt needs a renewed intent from rewards: the payout is held."""


class PayoutCode(StrEnum):
    """Why a payout or one of its attempts ended, or waits."""

    RAIL_UNAVAILABLE = "rail_unavailable"
    RAIL_THROTTLED = "rail_throttled"
    RAIL_DISABLED = "rail_disabled"
    RAIL_UNSUPPORTED = "rail_unsupported"
    RAIL_NOT_APPROVED = "rail_not_approved"
    OUTCOME_UNKNOWN = "outcome_unknown"
    ATTEMPT_UNPROVED = "attempt_unproved"
    LIMIT_EXCEEDED = "limit_exceeded"
    METHOD_UNKNOWN = "method_unknown"
    METHOD_MISMATCH = "method_mismatch"
    METHOD_UNVERIFIED = "method_unverified"
    METHOD_NOT_USABLE_YET = "method_not_usable_yet"
    SCREENING_PENDING = "screening_pending"
    DETAILS_UNREADABLE = "details_unreadable"
    DETAILS_INVALID = "details_invalid"
    INTENT_INVALID = "intent_invalid"
    INTENT_EXPIRED = "intent_expired"
    QUOTE_UNAVAILABLE = "quote_unavailable"
    QUOTE_EXPIRED = "quote_expired"
    QUOTE_WORSE = "quote_worse"
    DESTINATION_INVALID = "destination_invalid"
    DESTINATION_MISSING = "destination_missing"
    NO_TRUSTLINE = "no_trustline"
    NOT_AUTHORIZED = "not_authorized"
    LINE_FULL = "line_full"
    TREASURY_UNDERFUNDED = "treasury_underfunded"
    MEMO_REQUIRED = "memo_required"
    TX_FAILED = "tx_failed"
    TX_EXPIRED = "tx_expired"
    SIGNER_REFUSED = "signer_refused"
    SIGNER_LIMIT = "signer_limit"
    SIGNER_BOUND = "signer_bound"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    PROVIDER_REJECTED = "provider_rejected"
    CANCELLED = "cancelled"
    CANCELLED_BY_PLAYER = "cancelled_by_player"
    CANCELLED_BY_OPERATOR = "cancelled_by_operator"
    WINNINGS_TAKEN_BACK = "winnings_taken_back"
    REJECTED_BY_APPROVER = "rejected_by_approver"
    NOT_SUPPORTED = "not_supported"


PAYOUT_DECISIONS: dict[PayoutCode, RetryDecision] = {
    PayoutCode.RAIL_UNAVAILABLE: RetryDecision.RETRY,
    PayoutCode.RAIL_THROTTLED: RetryDecision.RETRY,
    PayoutCode.RAIL_DISABLED: RetryDecision.GIVE_UP,
    PayoutCode.RAIL_UNSUPPORTED: RetryDecision.GIVE_UP,
    PayoutCode.RAIL_NOT_APPROVED: RetryDecision.WAIT,
    PayoutCode.OUTCOME_UNKNOWN: RetryDecision.LOOK_UP,
    PayoutCode.ATTEMPT_UNPROVED: RetryDecision.LOOK_UP,
    PayoutCode.LIMIT_EXCEEDED: RetryDecision.GIVE_UP,
    PayoutCode.METHOD_UNKNOWN: RetryDecision.GIVE_UP,
    PayoutCode.METHOD_MISMATCH: RetryDecision.GIVE_UP,
    PayoutCode.METHOD_UNVERIFIED: RetryDecision.WAIT,
    PayoutCode.METHOD_NOT_USABLE_YET: RetryDecision.WAIT,
    PayoutCode.SCREENING_PENDING: RetryDecision.WAIT,
    PayoutCode.DETAILS_UNREADABLE: RetryDecision.GIVE_UP,
    PayoutCode.DETAILS_INVALID: RetryDecision.GIVE_UP,
    PayoutCode.INTENT_INVALID: RetryDecision.GIVE_UP,
    PayoutCode.INTENT_EXPIRED: RetryDecision.HOLD,
    PayoutCode.QUOTE_UNAVAILABLE: RetryDecision.RETRY,
    PayoutCode.QUOTE_EXPIRED: RetryDecision.HOLD,
    PayoutCode.QUOTE_WORSE: RetryDecision.HOLD,
    PayoutCode.DESTINATION_INVALID: RetryDecision.GIVE_UP,
    PayoutCode.DESTINATION_MISSING: RetryDecision.GIVE_UP,
    PayoutCode.NO_TRUSTLINE: RetryDecision.GIVE_UP,
    PayoutCode.NOT_AUTHORIZED: RetryDecision.GIVE_UP,
    PayoutCode.LINE_FULL: RetryDecision.GIVE_UP,
    PayoutCode.TREASURY_UNDERFUNDED: RetryDecision.RETRY,
    PayoutCode.MEMO_REQUIRED: RetryDecision.GIVE_UP,
    PayoutCode.TX_FAILED: RetryDecision.RETRY,
    PayoutCode.TX_EXPIRED: RetryDecision.RETRY,
    PayoutCode.SIGNER_REFUSED: RetryDecision.GIVE_UP,
    PayoutCode.SIGNER_LIMIT: RetryDecision.WAIT,
    PayoutCode.SIGNER_BOUND: RetryDecision.WAIT,
    PayoutCode.ATTEMPTS_EXHAUSTED: RetryDecision.GIVE_UP,
    PayoutCode.IDEMPOTENCY_CONFLICT: RetryDecision.GIVE_UP,
    PayoutCode.PROVIDER_REJECTED: RetryDecision.GIVE_UP,
    PayoutCode.CANCELLED: RetryDecision.GIVE_UP,
    PayoutCode.CANCELLED_BY_PLAYER: RetryDecision.GIVE_UP,
    PayoutCode.CANCELLED_BY_OPERATOR: RetryDecision.GIVE_UP,
    PayoutCode.WINNINGS_TAKEN_BACK: RetryDecision.GIVE_UP,
    PayoutCode.REJECTED_BY_APPROVER: RetryDecision.GIVE_UP,
    PayoutCode.NOT_SUPPORTED: RetryDecision.GIVE_UP,
}


class PayoutCause(StrEnum):
    """On whose side the cause of a code is."""

    PAYEE = "payee"
    """The payee's account, details or amount: a payee can bring it about at any time."""
    INSTALLATION = "installation"
    """A rail, a provider, the configuration or a service: an operator must act."""
    DECISION = "decision"
    """A person decided that the payout is not paid."""


PAYOUT_CAUSES: dict[PayoutCode, PayoutCause] = {
    PayoutCode.RAIL_UNAVAILABLE: PayoutCause.INSTALLATION,
    PayoutCode.RAIL_THROTTLED: PayoutCause.INSTALLATION,
    PayoutCode.RAIL_DISABLED: PayoutCause.INSTALLATION,
    PayoutCode.RAIL_UNSUPPORTED: PayoutCause.INSTALLATION,
    PayoutCode.RAIL_NOT_APPROVED: PayoutCause.INSTALLATION,
    PayoutCode.OUTCOME_UNKNOWN: PayoutCause.INSTALLATION,
    PayoutCode.ATTEMPT_UNPROVED: PayoutCause.INSTALLATION,
    PayoutCode.LIMIT_EXCEEDED: PayoutCause.PAYEE,
    PayoutCode.METHOD_UNKNOWN: PayoutCause.PAYEE,
    PayoutCode.METHOD_MISMATCH: PayoutCause.PAYEE,
    PayoutCode.METHOD_UNVERIFIED: PayoutCause.PAYEE,
    PayoutCode.METHOD_NOT_USABLE_YET: PayoutCause.PAYEE,
    PayoutCode.SCREENING_PENDING: PayoutCause.INSTALLATION,
    PayoutCode.DETAILS_UNREADABLE: PayoutCause.INSTALLATION,
    PayoutCode.DETAILS_INVALID: PayoutCause.PAYEE,
    PayoutCode.INTENT_INVALID: PayoutCause.INSTALLATION,
    PayoutCode.INTENT_EXPIRED: PayoutCause.INSTALLATION,
    PayoutCode.QUOTE_UNAVAILABLE: PayoutCause.INSTALLATION,
    PayoutCode.QUOTE_EXPIRED: PayoutCause.INSTALLATION,
    PayoutCode.QUOTE_WORSE: PayoutCause.INSTALLATION,
    PayoutCode.DESTINATION_INVALID: PayoutCause.PAYEE,
    PayoutCode.DESTINATION_MISSING: PayoutCause.PAYEE,
    PayoutCode.NO_TRUSTLINE: PayoutCause.PAYEE,
    PayoutCode.NOT_AUTHORIZED: PayoutCause.PAYEE,
    PayoutCode.LINE_FULL: PayoutCause.PAYEE,
    PayoutCode.TREASURY_UNDERFUNDED: PayoutCause.INSTALLATION,
    PayoutCode.MEMO_REQUIRED: PayoutCause.PAYEE,
    PayoutCode.TX_FAILED: PayoutCause.INSTALLATION,
    PayoutCode.TX_EXPIRED: PayoutCause.INSTALLATION,
    PayoutCode.SIGNER_REFUSED: PayoutCause.INSTALLATION,
    PayoutCode.SIGNER_LIMIT: PayoutCause.INSTALLATION,
    PayoutCode.SIGNER_BOUND: PayoutCause.INSTALLATION,
    PayoutCode.ATTEMPTS_EXHAUSTED: PayoutCause.INSTALLATION,
    PayoutCode.IDEMPOTENCY_CONFLICT: PayoutCause.INSTALLATION,
    PayoutCode.PROVIDER_REJECTED: PayoutCause.PAYEE,
    PayoutCode.CANCELLED: PayoutCause.DECISION,
    PayoutCode.CANCELLED_BY_PLAYER: PayoutCause.DECISION,
    PayoutCode.CANCELLED_BY_OPERATOR: PayoutCause.DECISION,
    PayoutCode.WINNINGS_TAKEN_BACK: PayoutCause.DECISION,
    PayoutCode.REJECTED_BY_APPROVER: PayoutCause.DECISION,
    PayoutCode.NOT_SUPPORTED: PayoutCause.INSTALLATION,
}
"""Alerts about failed payouts leave out those of payees, who could otherwise raise them at will."""


def cause_for(code: str) -> PayoutCause:
    """On whose side the cause of a code is. A code that is not in the table is the installation's, so that an operator looks."""
    try:
        return PAYOUT_CAUSES[PayoutCode(code)]
    except ValueError:
        return PayoutCause.INSTALLATION


def decision_for(code: str) -> RetryDecision:
    """The retry decision of a code.

    The outcome of a code that is not in the table is treated as not known,
    so that no payment is repeated because of a word that we had not met before.
    """
    try:
        return PAYOUT_DECISIONS[PayoutCode(code)]
    except ValueError:
        return RetryDecision.LOOK_UP
