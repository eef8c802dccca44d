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
    """A campaign grants at most what it was funded with, and its counters agree with the ledger."""
    ROUNDS_ADD_UP = "rounds_add_up"
    """A round that is final holds nothing in reserve; its lines and unclaimed make its net prize."""
    ONE_PAYOUT_PER_REWARD = "one_payout_per_reward"
    """A reward is requested by at most one payout, of its player and round."""
    PAYOUTS_CONSISTENT = "payouts_consistent"
    """An open payout holds exactly its amount, a closed one nothing; what was paid went to its rail, and its fee to the
    fees. It is a player's or a funding account's."""
    ENTRIES_IN_ESCROW = "entries_in_escrow"
    """A paid entry holds in escrow what each bucket paid of it, any other nothing; rounds that have ended hold none but
    those that are being closed."""
    TOPUPS_ADD_UP = "topups_add_up"
    """A top-up was credited once; what was reversed of it is the sum of its refunds and disputes less those won, and
    the ledger says the same."""
    TRANSITIONS_UNBROKEN = "transitions_unbroken"
    """The history of every campaign, round, payout and entry ends in its present state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look at an invariant found: its breaches as sentences, and what it covered, in words and as the number
    of things that were looked at. ``whole`` says that with this look everything has been seen once more.
    """

    breaches: Sequence[str]
    covered: str
    looked_at: int
    whole: bool
