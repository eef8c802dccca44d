"""Errors of payouts.

PayoutError                     payout_error
├── IllegalTransition           illegal_transition       payouts/domain/errors.py
├── PayoutNotFound              payout_not_found
├── CancelRefused               not_cancellable
├── AttemptUnproved             attempt_unproved
├── NotEnded                    not_ended
├── MethodError                 (several codes: see methods/domain.py)
├── ApprovalRefused             approver_is_<role> | already_approved | intent_expired | not_held
├── PauseRefused                pause_value_unknown | pause_not_found
├── ReviewNotFound              review_not_found         stellar/domain/errors.py
└── ReviewRefused               (several codes: see stellar/domain/review.py)

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
