"""Errors of the Stellar execution.

StellarError                    stellar_error
├── IllegalStep                 illegal_step          a state machine has no such edge: a bug, nothing was changed
├── InexactAmount               inexact_amount        the amount has no exact form with seven decimals
└── SignaturesRefused           signatures_refused    what the signer sent does not sign our bytes for our signers

Each carries a stable ``code``. None is worth a retry with the same input. Refusals of requests about reviews belong to the
tree of ``prizewire_payouts.errors``.
"""

from prizewire_payouts.errors import CodedError, PayoutError


class StellarError(Exception):
    """The root of this tree; ``code`` is stable."""

    code: str = "stellar_error"


class IllegalStep(StellarError):
    """A state machine has no edge from ``old`` to ``new``."""

    code = "illegal_step"

    def __init__(self, *, machine: str, old: str, new: str) -> None:
        super().__init__(f"{machine}: {old} -> {new} is not allowed")


class InexactAmount(StellarError):
    """An amount has no exact value in stroops, or cannot be paid."""

    code = "inexact_amount"


class SignaturesRefused(StellarError):
    """Signatures do not verify against the stored hash, or an expected signer is missing."""

    code = "signatures_refused"


class ReviewNotFound(PayoutError):
    """No transaction with this number is or was in review."""

    code = "review_not_found"


class ReviewRefused(CodedError):
    """This person may not decide this about a transaction in review, or the ledger shows otherwise."""
