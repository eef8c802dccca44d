"""The states of attempts and payments, and every edge between them, each with its reason.

An *attempt* is one transaction: n items, one revision of a slot. A *payment* is one payout attempt's place in the
executor. The same edges lie in the database (migration 0002) behind a trigger; a test holds the tables together.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from prizewire_payouts.errors import CodedError, PayoutError


class TransactionState(StrEnum):
    """Where one transaction stands."""

    LEASED = "leased"
    RELEASED = "released"
    BUILT = "built"
    EXPORTED = "exported"
    SIGNED = "signed"
    REFUSED = "refused"
    SENT = "sent"
    CHECKING = "checking"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    SUPERSEDED = "superseded"
    REVIEW = "review"


class PaymentState(StrEnum):
    """Where one payment stands in the executor."""

    QUEUED = "queued"
    BATCHED = "batched"
    PAID = "paid"
    NO_EFFECT = "no_effect"


_S = TransactionState


_P = PaymentState


ATTEMPT_START: frozenset[TransactionState] = frozenset({_S.LEASED})


PAYMENT_START: frozenset[PaymentState] = frozenset({_P.QUEUED, _P.NO_EFFECT})
"""A payment may begin as without effect: refused before it was queued, or a tombstone against a late repetition."""


HOLDING: frozenset[TransactionState] = frozenset(
    {_S.LEASED, _S.BUILT, _S.EXPORTED, _S.SIGNED, _S.SENT, _S.CHECKING, _S.REVIEW}
)
"""Attempts that hold their channel: no other attempt may begin on it. ``review`` is the quarantine."""


LOOKED_UP: frozenset[TransactionState] = frozenset({_S.SENT, _S.CHECKING})
"""Attempts whose hash is looked up on the ledger."""


ATTEMPT_EDGES: dict[tuple[TransactionState, TransactionState], str] = {
    (_S.LEASED, _S.RELEASED): "nothing was built: all its payments are free",
    (_S.LEASED, _S.BUILT): "hash, transaction, maxTime and request are in one commit",
    (_S.BUILT, _S.EXPORTED): "handed out for a signature elsewhere: counts as sent",
    (_S.BUILT, _S.SIGNED): "the signer's signatures fit the stored hash and are stored",
    (_S.EXPORTED, _S.SIGNED): "the submitted signatures fit the stored hash and are stored",
    (_S.BUILT, _S.REFUSED): "the signer's signed refusal: no digest exists",
    (_S.SIGNED, _S.SENT): "ledger number and signed bytes are committed before the send",
    (_S.SENT, _S.CHECKING): "an ERROR, or maxTime has passed: no outcome yet",
    (_S.BUILT, _S.CHECKING): "maxTime has passed, and a late signature may exist",
    (_S.EXPORTED, _S.CHECKING): "maxTime has passed, and a late signature may exist",
    (_S.SIGNED, _S.CHECKING): "maxTime has passed before the send",
    (_S.EXPORTED, _S.SUCCEEDED): "the ledger has its hash: success",
    (_S.SIGNED, _S.SUCCEEDED): "the ledger has its hash: success",
    (_S.SENT, _S.SUCCEEDED): "the ledger has its hash: success",
    (_S.CHECKING, _S.SUCCEEDED): "the ledger has its hash: success",
    (_S.EXPORTED, _S.FAILED): "the ledger has its hash: failed as a whole",
    (_S.SIGNED, _S.FAILED): "the ledger has its hash: failed as a whole",
    (_S.SENT, _S.FAILED): "the ledger has its hash: failed as a whole",
    (_S.CHECKING, _S.FAILED): "the ledger has its hash: failed as a whole",
    (_S.CHECKING, _S.DEAD): "past maxTime the account's sequence is still below the slot's",
    (_S.DEAD, _S.SUPERSEDED): "another stored digest consumed the slot",
    (_S.CHECKING, _S.REVIEW): "the slot is consumed, and no stored digest is found on the ledger",
    (_S.REVIEW, _S.SUCCEEDED): "evidence, and two persons",
    (_S.REVIEW, _S.FAILED): "evidence, and two persons",
}


PAYMENT_EDGES: dict[tuple[PaymentState, PaymentState], str] = {
    (_P.QUEUED, _P.BATCHED): "leased into an attempt together with a channel",
    (
        _P.BATCHED,
        _P.QUEUED,
    ): "its attempt was released, refused as a whole, or failed for another's fault; or it waits for the signer",
    (_P.BATCHED, _P.PAID): "its attempt succeeded on the ledger",
    (
        _P.BATCHED,
        _P.NO_EFFECT,
    ): "proved without effect: preflight, refusal, its own failure, or cancelled unoffered",
    (_P.QUEUED, _P.NO_EFFECT): "cancelled before it was offered to the signer",
}


def check_step(*, old: TransactionState, new: TransactionState) -> str:
    """The reason that allows this step of an attempt.

    Raises:
        IllegalStep: the table has no such edge.
    """
    try:
        return ATTEMPT_EDGES[old, new]
    except KeyError:
        raise IllegalStep(machine="stellar attempt", old=old, new=new) from None


DIGESTS_MAX = 32
"""Revisions of one slot that may have been signed before it is voided: what the signer signs, unless its policy says
otherwise, in which case its refusal names the cap.
"""


_PAUSE_FIRST = timedelta(seconds=5)


_PAUSE_MAX = timedelta(hours=1)


class NextAction(StrEnum):
    """The next thing on a slot."""

    REBUILD = "rebuild"
    """Another revision with the payments that are left."""
    VOID = "void"
    """A transaction that does nothing but consume the slot."""
    IDLE = "idle"
    """Nothing: the slot lies open for the next payments on its channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotUse:
    """How a slot is used: ``held`` payments that wait on it, ``digests`` of payments that may have been signed and are
    all proved dead, ``voids`` tried so far; and what the signer answered about it: that it signs no more payments there
    (``full``), or that it never signed there (``unsigned``).
    """

    held: int
    digests: int
    voids: int
    full: bool = False
    unsigned: bool = False


def next_action(*, use: SlotUse, digests_max: int) -> NextAction:
    """The first row that fits."""
    rows: tuple[tuple[bool, NextAction], ...] = (
        # nothing is bound where nothing was signed: no payout waits for the slot to be consumed
        (use.unsigned, NextAction.REBUILD if use.held else NextAction.IDLE),
        (use.full, NextAction.VOID),
        (use.digests == 0 and use.voids == 0, NextAction.REBUILD if use.held else NextAction.IDLE),
        # a void that was begun is continued: payments that are left wait for it and go to another slot
        (use.voids > 0, NextAction.VOID),
        # payouts that left the slot are still bound to it, and no payment is left that would consume it
        (use.held == 0, NextAction.VOID),
        (use.digests >= digests_max, NextAction.VOID),
        (True, NextAction.REBUILD),
    )
    return next(action for fits, action in rows if fits)


def void_pause(*, voids: int) -> timedelta:
    """How long to wait before voiding after this many tries: not at all at first, then doubling up to an hour, so
    that the signer's cap of voids outlasts a day of trouble.
    """
    return timedelta() if voids == 0 else min(_PAUSE_MAX, _PAUSE_FIRST * int(2 ** min(voids, 20)))


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
