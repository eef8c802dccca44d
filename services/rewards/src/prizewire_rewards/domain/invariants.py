"""What must always hold, by name; the storage room counts the breaches of each (correctness, invariants 1, 2, 6, 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Invariant", "Seen"]


class Invariant(StrEnum):
    """Each is checked on its own over HTTP and by a job."""

    BALANCES_ARE_SUMS = "balances_are_sums_of_transfers"
    """Every account's balance is its credits minus its debits."""
    ASSETS_SUM_TO_ZERO = "assets_sum_to_zero"
    """Over all accounts, each asset sums to zero."""
    BOUNDS_HOLD = "bounds_hold"
    """No pool, wallet or other floored account is below zero, no receivable above it."""
    GRANTED_WITHIN_FUNDED = "granted_within_funded"
    """What a campaign was funded with was granted, withdrawn, or is in its pool, and its counters agree with the
    ledger."""
    CLAIMS_CONSISTENT = "claims_consistent"
    """A prize is claimable exactly as long as its claim is open or held, and ends as its claim does."""
    CAPS_ADD_UP = "caps_add_up"
    """What is counted for the caps of a campaign is the sum of the prizes that count."""
    ROUNDS_ADD_UP = "rounds_add_up"
    """A round that is final holds in reserve what is held of it; its lines and unclaimed make its net prize."""
    ONE_PAYOUT_PER_REWARD = "one_payout_per_reward"
    """A reward is requested by at most one payout, of its player and round."""
    PAYOUTS_CONSISTENT = "payouts_consistent"
    """An open payout holds exactly its amount, a closed one nothing."""
    TRANSITIONS_UNBROKEN = "transitions_unbroken"
    """The history of every campaign, round, payout and claim ends in its present state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look at an invariant found: its breaches as sentences, and what it covered, in words and as the number
    of things that were looked at. ``whole`` says that with this look everything has been seen once more.
    """

    breaches: Sequence[str]
    covered: str
    looked_at: int
    whole: bool
