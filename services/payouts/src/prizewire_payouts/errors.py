"""Errors of the payout domain.

PayoutError                     payout_error
├── IllegalTransition           illegal_transition
├── PayoutNotFound              payout_not_found
├── MethodError                 (a tree of codes: see domain/methods.py)
├── ApprovalRefused             approver_is_<role> | already_approved | intent_expired | not_held
├── CancelRefused               not_cancellable
├── NotEnded                    not_ended
├── ReviewNotFound              review_not_found
├── ReviewRefused               (a tree of codes: see domain/stellar/review.py)
└── PauseRefused                pause_value_unknown | pause_not_found

Each carries a stable ``code``. None is worth a retry with the same input.
"""


class PayoutError(Exception):
    """The root of this tree; ``code`` is stable."""

    code: str = "payout_error"


class IllegalTransition(PayoutError):
    """A state machine has no edge from ``old`` to ``new``."""

    code = "illegal_transition"

    def __init__(self, *, machine: str, old: str, new: str) -> None:
        super().__init__(f"{machine}: {old} -> {new} is not allowed")
        self.old = old
        self.new = new


ON_ITS_WAY = (
    ": if it was requested a moment ago, its request has not arrived here yet; ask again in a few seconds"
)
"""What is said of a payout that is not found: rewards answers a request before payouts has heard of it."""


class PayoutNotFound(PayoutError):
    """There is no such payout, or it is not the asker's."""

    code = "payout_not_found"


class MethodError(PayoutError):
    """A payout method, or its details, cannot be taken. ``code`` says why; the text never holds the details."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ApprovalRefused(PayoutError):
    """This person may not decide on this payout, or there is nothing to decide."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CancelRefused(PayoutError):
    """The payout has ended; there is nothing left to cancel."""

    code = "not_cancellable"


class NotEnded(PayoutError):
    """The payout has not ended; there is no end to tell."""

    code = "not_ended"


class ReviewNotFound(PayoutError):
    """No transaction under this number is or was in review."""

    code = "review_not_found"


class ReviewRefused(PayoutError):
    """This person may not decide this of a transaction in review, or the ledger shows otherwise."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PauseRefused(PayoutError):
    """A pause cannot be set or lifted as asked."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
