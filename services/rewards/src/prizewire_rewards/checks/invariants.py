"""What must always hold, by name; the storage room counts the breaches of each (correctness, invariants 1, 2, 6, 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


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
    """A round's reserve is its held lines, with its fees until it is final; its lines and unclaimed make its net prize,
    and stand in states that fit the round's. While it is being booked its reserve holds at least the rest.
    """
    CLAIMABLE_IS_OWED = "claimable_is_owed"
    """What a campaign's winners can claim is what their claimable prizes with an open or held claim make."""
    RECEIVABLES_ADD_UP = "receivables_add_up"
    """What a player owes by the ledger is the sum of their open receivables, and clearing holds what was opened and
    neither recovered, lifted nor restored.
    """
    PRIZES_AS_BOOKED = "prizes_as_booked"
    """What a round's prizes are said to have, credited and pending, is what the ledger gave to wallets for the round, less
    what could not be taken back and is a debt: for the round and for each player of it.
    """
    PARTS_COME = "parts_come"
    """No part of a settlement waits for the others longer than it may."""
    ONE_PAYOUT_PER_REWARD = "one_payout_per_reward"
    """A reward is requested directly once, and once more for each time that something came to it later: each payout is
    of its player, round and asset, and of no more than the prize while no correction has changed it.
    """
    PAYOUTS_CONSISTENT = "payouts_consistent"
    """An open payout holds exactly its amount, a closed one nothing; what was paid went to its rail, and its fee to the
    fees. It is a player's or a funding account's."""
    ENTRIES_IN_ESCROW = "entries_in_escrow"
    """A paid entry holds in escrow what each bucket paid of it, any other nothing; rounds that have ended hold none but
    those that are being closed."""
    TOPUPS_ADD_UP = "topups_add_up"
    """A top-up was credited once; what was reversed of it is the sum of its refunds and disputes less those won, and
    the ledger says the same."""
    FEES_ADD_UP = "fees_add_up"
    """Each withdrawal of fees that was approved has left once, by its amount, and none that was not; no fees are below
    zero."""
    DISOWNED_GONE = "disowned_rounds_are_gone"
    """A round that two admins disowned is voided, but for the lines that are still taken back; its fees went back as they
    had been taken, but for what an organizer owes; and none of its entries is paid, nor earned in a redeemable asset. A fee
    goes back for a disowned round only."""
    MONEY_IS_DOCUMENTED = "money_is_documented"
    """What came in from outside, back from a rail, out of a pool, or back to whoever had paid it, is explained by its
    document: the record of a person, a top-up, a payout, a round or an entry, which says the same; and every record of a
    person was booked."""
    TRANSITIONS_UNBROKEN = "transitions_unbroken"
    """The history of every campaign, round, payout, claim and entry ends in its present state."""
    ACCOUNTS_OWNED = "accounts_owned"
    """Every account of a pool, claims, a reserve, a payout, an entry or funding belongs to a row that exists, in its
    asset."""
    TRANSFERS_DOCUMENTED = "transfers_documented"
    """Every transfer names a document that exists (a round with the player's prize, a claim, a payout, an entry, a top-up,
    a debt, a withdrawal of fees) and agrees with it in amount, asset and player."""
    HISTORIES_OWNED = "histories_owned"
    """Every history belongs to a campaign, round, payout, claim or entry that exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look at an invariant found: its breaches as sentences, and what it covered, in words and as the number
    of things that were looked at. ``whole`` says that with this look everything has been seen once more.
    """

    breaches: Sequence[str]
    covered: str
    looked_at: int
    whole: bool
