"""The states of payouts and attempts, and the errors and events about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from prizewire_money import Amount
from prizewire_payouts.errors import PayoutError


class PayoutState(StrEnum):
    """Where a payout stands. ``closing_x`` waits for the signer's tombstone and then becomes ``x``."""

    REQUESTED = "requested"
    HELD = "held"
    APPROVED = "approved"
    SUBMITTING = "submitting"
    PENDING = "pending"
    UNKNOWN = "unknown"
    CLOSING_REJECTED = "closing_rejected"
    CLOSING_FAILED = "closing_failed"
    CLOSING_CANCELLED = "closing_cancelled"
    PAID = "paid"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETURNED = "returned"


class AttemptState(StrEnum):
    """Where one attempt stands. At most one attempt of a payout is open."""

    OPENED = "opened"
    SENT = "sent"
    ACCEPTED = "accepted"
    AMBIGUOUS = "ambiguous"
    EFFECTED = "effected"
    NO_EFFECT = "no_effect"
    REVERSED = "reversed"


_P = PayoutState


_A = AttemptState


FINAL: frozenset[PayoutState] = frozenset({_P.REJECTED, _P.FAILED, _P.CANCELLED, _P.RETURNED})
"""States that nothing leaves. ``paid`` may still become ``returned``."""


ATTEMPT_OPEN: frozenset[AttemptState] = frozenset({_A.OPENED, _A.SENT, _A.ACCEPTED, _A.AMBIGUOUS})
"""Attempts that may still have, or come to have, an effect."""


NO_ATTEMPT_OPEN: frozenset[PayoutState] = frozenset({_P.REQUESTED, _P.HELD, _P.APPROVED})
"""States before an attempt, or between two."""


CLOSING: dict[PayoutState, PayoutState] = {
    _P.CLOSING_REJECTED: _P.REJECTED,
    _P.CLOSING_FAILED: _P.FAILED,
    _P.CLOSING_CANCELLED: _P.CANCELLED,
}
"""Closing state → the final state it waits to become."""


PAYOUT_EDGES: dict[tuple[PayoutState, PayoutState], str] = {
    (_P.REQUESTED, _P.APPROVED): "policy: within the automatic limit",
    (_P.REQUESTED, _P.HELD): "policy: an approver must look, or the intent has expired",
    (_P.APPROVED, _P.HELD): "pause or expiry, and no open attempt",
    (_P.HELD, _P.APPROVED): "distinct approvers, none of them a party, and the intent alive",
    (_P.REQUESTED, _P.CLOSING_FAILED): "the details in its request cannot be used",
    (_P.REQUESTED, _P.CLOSING_REJECTED): "an approver rejects it, with a reason",
    (_P.HELD, _P.CLOSING_REJECTED): "an approver rejects it, with a reason",
    (_P.REQUESTED, _P.CLOSING_CANCELLED): "cancel asked, and no open attempt",
    (_P.HELD, _P.CLOSING_CANCELLED): "cancel asked, and no open attempt",
    (_P.APPROVED, _P.CLOSING_CANCELLED): "cancel asked, and no open attempt",
    (_P.REQUESTED, _P.UNKNOWN): "an attempt is not proved to be without effect",
    (_P.HELD, _P.UNKNOWN): "an attempt is not proved to be without effect",
    (_P.APPROVED, _P.UNKNOWN): "an attempt is not proved to be without effect",
    (_P.APPROVED, _P.SUBMITTING): "a worker committed an attempt: not paused, no cancel asked, intent alive",
    (_P.APPROVED, _P.CLOSING_FAILED): "given up, and no open attempt",
    (_P.SUBMITTING, _P.PENDING): "accepted, and the provider's reference stored",
    (_P.SUBMITTING, _P.UNKNOWN): "lost answer, 5xx or garbage",
    (_P.PENDING, _P.UNKNOWN): "lost answer, 5xx or garbage",
    (_P.UNKNOWN, _P.PENDING): "a look-up says in progress",
    (_P.SUBMITTING, _P.PAID): "proof, with the amount of the intent",
    (_P.PENDING, _P.PAID): "proof, with the amount of the intent",
    (_P.UNKNOWN, _P.PAID): "proof, with the amount of the intent",
    (_P.SUBMITTING, _P.APPROVED): "proof of no effect: retryable, attempts left, or not counted",
    (_P.PENDING, _P.APPROVED): "proof of no effect: retryable, attempts left, or not counted",
    (_P.UNKNOWN, _P.APPROVED): "proof of no effect: retryable, attempts left, or not counted",
    (_P.SUBMITTING, _P.CLOSING_FAILED): "proof of no effect: final",
    (_P.PENDING, _P.CLOSING_FAILED): "proof of no effect: final",
    (_P.UNKNOWN, _P.CLOSING_FAILED): "proof of no effect: final",
    (_P.SUBMITTING, _P.CLOSING_CANCELLED): "proof of no effect: cancel asked",
    (_P.PENDING, _P.CLOSING_CANCELLED): "proof of no effect: cancel asked",
    (_P.UNKNOWN, _P.CLOSING_CANCELLED): "proof of no effect: cancel asked",
    (_P.UNKNOWN, _P.CLOSING_REJECTED): "proof of no effect: rejected before its close was refused",
    (_P.CLOSING_REJECTED, _P.REJECTED): "the signer's closure, or no rail that the signer serves",
    (_P.CLOSING_FAILED, _P.FAILED): "the signer's closure, or no rail that the signer serves",
    (_P.CLOSING_CANCELLED, _P.CANCELLED): "the signer's closure, or no rail that the signer serves",
    (_P.CLOSING_REJECTED, _P.UNKNOWN): "close refused: a slot is bound and must be proved first",
    (_P.CLOSING_FAILED, _P.UNKNOWN): "close refused: a slot is bound and must be proved first",
    (_P.CLOSING_CANCELLED, _P.UNKNOWN): "close refused: a slot is bound and must be proved first",
    (_P.PAID, _P.RETURNED): "the rail proves that it came back, at most the amount paid",
}


ATTEMPT_EDGES: dict[tuple[AttemptState, AttemptState], str] = {
    (_A.OPENED, _A.SENT): "committed before the call",
    (_A.OPENED, _A.NO_EFFECT): "never sent, exported or offered to the signer",
    (_A.SENT, _A.ACCEPTED): "the provider has accepted it",
    (_A.SENT, _A.AMBIGUOUS): "lost answer, 5xx or garbage",
    (_A.SENT, _A.EFFECTED): "proof of payment",
    (_A.SENT, _A.NO_EFFECT): "proof of no effect",
    (_A.ACCEPTED, _A.AMBIGUOUS): "lost answer, 5xx or garbage",
    (_A.ACCEPTED, _A.EFFECTED): "proof of payment",
    (_A.ACCEPTED, _A.NO_EFFECT): "proof of no effect",
    (_A.AMBIGUOUS, _A.ACCEPTED): "a look-up by the same key says in progress",
    (_A.AMBIGUOUS, _A.EFFECTED): "proof of payment",
    (_A.AMBIGUOUS, _A.NO_EFFECT): "proof of no effect",
    (_A.EFFECTED, _A.REVERSED): "the rail proves that it came back",
}


def final_of(*, closing: PayoutState) -> PayoutState:
    """What a closing state waits to become.

    Raises:
        KeyError: it is no closing state.
    """
    return CLOSING[closing]


class IllegalTransition(PayoutError):
    """A state machine has no edge from ``old`` to ``new``."""

    code = "illegal_transition"

    def __init__(self, *, machine: str, old: str, new: str) -> None:
        super().__init__(f"{machine}: {old} -> {new} is not allowed")
        self.old = old
        self.new = new


def check_payout_edge(*, old: PayoutState, new: PayoutState) -> str:
    """The reason that allows this step.

    Raises:
        IllegalTransition: the table has no such edge.
    """
    try:
        return PAYOUT_EDGES[old, new]
    except KeyError:
        raise IllegalTransition(machine="payout", old=old, new=new) from None


def check_attempt_edge(*, old: AttemptState, new: AttemptState) -> str:
    """The reason that allows this step.

    Raises:
        IllegalTransition: the table has no such edge.
    """
    try:
        return ATTEMPT_EDGES[old, new]
    except KeyError:
        raise IllegalTransition(machine="attempt", old=old, new=new) from None


NOT_ARRIVED_YET = (
    ": if it was requested a moment ago, its request has not arrived here yet; ask again in a few seconds"
)
"""Added to the answer about an unknown payout: rewards answers a request before payouts has consumed its event."""


class PayoutNotFound(PayoutError):
    """There is no such payout, or it belongs to another player."""

    code = "payout_not_found"


class CancelRefused(PayoutError):
    """The payout has ended and cannot be cancelled."""

    code = "not_cancellable"


class AttemptUnproved(PayoutError):
    """The end of the payout rests on an attempt whose row payouts did not write."""

    code = "attempt_unproved"


class NotEnded(PayoutError):
    """The payout has not ended, so that its end cannot be announced."""

    code = "not_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The payout may be paid; ``approvers`` is empty where policy approved it."""

    policy_version: int
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The payout waits for an approver, or for a renewed intent."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """An attempt is committed; the call to the rail may be under way."""

    attempt_no: int
    rail: str
    provider_key: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The rail has accepted the payment."""

    attempt_no: int
    rail: str
    provider_ref: str | None
    tx_hash: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The outcome of an attempt is not known."""

    attempt_no: int
    rail: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """The payout was paid, with proof. ``fee_borne_by`` is ``platform`` or ``recipient``."""

    attempt_no: int
    rail: str
    rail_type: str
    player: str | None
    amount: Amount
    fee: Amount
    fee_borne_by: str
    proof: Mapping[str, Any]
    paid_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The payout ended without effect, as ``state`` and ``code`` say, and ``reason`` where a person gave one; ``closure`` is the
    signer's signed event where one is needed.
    """

    state: PayoutState
    code: str
    reason: str | None
    attempts: int
    closure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The payout was paid, and the money came back."""

    return_ref: str
    amount: Amount
    fee: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRequested:
    """Rewards is asked for a new payout in place of this ended one, to a named method or the default one."""

    retry_no: int
    by: str
    reason: str
    method_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRequested:
    """The signer is asked never to sign for this payout again."""


PayoutEvent = (
    Approved
    | Held
    | Submitted
    | Pending
    | Unknown
    | Paid
    | Ended
    | Returned
    | RetryRequested
    | CloseRequested
)
