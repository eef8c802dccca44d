"""The states of attempts and payments, and every edge between them, each with its reason.

An *attempt* is one transaction: n items, one revision of a slot. A *payment* is one payout attempt's place in the
executor. The same edges lie in the database (migration 0002) behind a trigger; a test holds the tables together.
"""

from enum import StrEnum

from prizewire_payouts.stellar.domain.errors import IllegalStep


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
