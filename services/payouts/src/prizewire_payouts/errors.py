"""Errors of payouts.

PayoutError                     payout_error
├── IllegalTransition           illegal_transition       payouts/domain/errors.py
├── PayoutNotFound              payout_not_found
├── CancelRefused               not_cancellable
├── AttemptUnproved             attempt_unproved
├── NotEnded                    not_ended
├── RetryRefused                already_retried | details_not_kept | method_not_possible | method_unknown | not_retryable | retry_open
├── DetailsError                (codes of the installed method types)
├── MethodError                 (several codes: see methods/domain.py)
├── VerificationError           (several codes: see verification/handlers.py)
├── LegalRefused                (several codes: see legal/domain.py)
├── ApprovalRefused             approver_is_<role> | already_approved | intent_expired | not_held | quote_expired
├── QuoteRefused                rail_unsupported | limit_exceeded | quote_unavailable
├── BatchRefused                (several codes: see batches/domain.py)
├── PauseRefused                pause_value_unknown | pause_not_found | same_person
├── ReviewNotFound              review_not_found         stellar/domain/errors.py
├── ReviewRefused               (several codes: see stellar/domain/review.py and reviews/domain.py)
└── ByHandRefused               (several codes: see by_hand/domain.py)

Each carries a stable ``code``. A request that raised one fails again when it is repeated unchanged.
"""


class PayoutError(Exception):
    """The root of this tree; ``code`` is stable."""

    code: str = "payout_error"


class CodedError(PayoutError):
    """An error with one of several codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DetailsError(CodedError):
    """Details of a destination are refused. The code is one of their method type, which a package may bring. The text never
    repeats a detail.
    """
