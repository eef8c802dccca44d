"""The invariants of rewards by name. ``slices`` finds the breaches of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Invariant(StrEnum):
    """The invariants. HTTP and a job check each of them."""

    BALANCES_ARE_SUMS = "balances_are_sums_of_transfers"
    """Every account's balance is its credits minus its debits."""
    ASSETS_SUM_TO_ZERO = "assets_sum_to_zero"
    """Over all accounts, each asset sums to zero."""
    BOUNDS_HOLD = "bounds_hold"
    """No pool, wallet or other account with a lower bound is negative, and no account of receivables is positive."""
    GRANTED_WITHIN_FUNDED = "granted_within_funded"
    """The money of a campaign was granted, withdrawn, or is in its pool. Its counters agree with the ledger."""
    CLAIMS_CONSISTENT = "claims_consistent"
    """A prize is claimable exactly while its claim is open or held, and ends in the state of its claim."""
    CAPS_ADD_UP = "caps_add_up"
    """The counts for the caps of a campaign are the sums of the prizes that count."""
    ROUNDS_ADD_UP = "rounds_add_up"
    """A round's reserve is its held lines, with its fees until it is final; its lines and unclaimed add up to its net
    prize, and the states of the lines fit the state of the round. While it is booked, its reserve is at least the rest.
    """
    LINES_AS_SETTLED = "lines_are_those_settled"
    """The players, places and amounts of a round's prizes make the digest that settlement sent. Voided rounds are left out:
    their prizes have no money. So are rounds whose lines are being booked or changed in chunks."""
    CLAIMABLE_IS_OWED = "claimable_is_owed"
    """The account of claimable money is the sum of the claimable prizes with an open or held claim."""
    RECEIVABLES_ADD_UP = "receivables_add_up"
    """A player's debt in the ledger is the sum of their open receivables. The account ``clearing`` is the sum of all
    receivables, less what was recovered, lifted or restored. Each amount of a receivable is the sum of its own transfers.
    """
    DEBTS_HAVE_REASONS = "debts_have_reasons"
    """Each debt names a correction or disownment of a round with the player's prize or organizer's fee, or the reversal of the
    player's top-up, and has at most its amount.
    """
    PRIZES_AS_BOOKED = "prizes_as_booked"
    """The credited and pending amounts of a round's prizes are what the ledger moved to wallets for the round, less what is
    a debt because it could not be taken back. This holds for the round and for each of its players.
    """
    ROUND_MONEY = "round_money_adds_up"
    """What a round took from its pool is in its reserve, with its players, in its fees, or owed. A final round's fees have left
    once, with the amounts of the round; a round that is not final has taken none, a voided one has them back or is owed.
    """
    PARTS_COME = "parts_come"
    """No part of a settlement waits for the others longer than allowed."""
    ONE_PAYOUT_PER_REWARD = "one_payout_per_reward"
    """A prize with direct delivery has one payout, and one more for each later addition. Each payout has the player, the round
    and the asset of the prize, and at most its amount unless a correction changed it.
    """
    PAYOUTS_CONSISTENT = "payouts_consistent"
    """An open payout holds exactly its amount, an ended one nothing. A paid amount went to its rail, and its fee to the fees.
    A payout belongs to a player or to a funding account."""
    EXCHANGES_ADD_UP = "exchanges_add_up"
    """The exchange of a payout that pays in another asset holds what the quote exchanged, less what came back at its rate. Nothing
    is left of a payout that ended without effect. So the position of each asset is the sum over open, paid and returned payouts.
    """
    PAYEES_ASSIGNED = "payees_are_assigned"
    """A payout with a payee names an assignment of its player to this payee that was in force when it was requested. A payout
    of a player that was requested while an assignment was in force has its payee.
    """
    RETRIES_FIT = "retries_fit_their_payouts"
    """A payout that retries another one has the money that came back from it: of the same player or funding account, the same
    asset and amount. The other one has ended.
    """
    INLINE_OWN = "inline_destinations_have_one_payout"
    """The destination that a request named belongs to one payout and to those that retry it: no registered method and no other
    payout has it.
    """
    BATCHES_WHOLE = "batches_are_whole"
    """Every batch of operators' payouts has a payout for each of its lines, of its account and its filer, with its total."""
    INTENTS_SIGNED = "intents_are_signed"
    """Rewards signed the intent of each open payout, on the terms of its row."""
    ENTRIES_IN_ESCROW = "entries_in_escrow"
    """A paid entry has in escrow what each bucket paid, any other entry nothing. Rounds that have ended have no paid entries,
    except while the job closes them."""
    TOPUPS_ADD_UP = "topups_add_up"
    """A top-up was credited once. Its reversed amount is the sum of its refunds and disputes, less won disputes, and agrees
    with the ledger."""
    FEES_ADD_UP = "fees_add_up"
    """Each approved withdrawal of fees has left once with its amount, and no other has left. No fees are negative."""
    DISOWNED_GONE = "disowned_rounds_are_gone"
    """A disowned round is voided, except for lines that are still taken back. Its fees went back, except for what an organizer
    owes. None of its entries is paid, or earned in a redeemable asset. Fees go back for disowned rounds only."""
    MONEY_IS_DOCUMENTED = "money_is_documented"
    """Money from outside, from a rail or from a pool, and money that went back to its payer, agrees with its document: the
    record of a person, a top-up, a payout, a round or an entry. Every record of a person was booked."""
    TRANSITIONS_UNBROKEN = "transitions_unbroken"
    """The history of every campaign, round, payout, claim and entry has no gap and ends in its present state."""
    ACCOUNTS_OWNED = "accounts_owned"
    """Every account of a pool, claims, a reserve, a payout, an entry or funding belongs to a row that exists, in its
    asset."""
    TRANSFERS_DOCUMENTED = "transfers_documented"
    """Every transfer names a document that exists (a round with the player's prize, a claim, a payout, an entry, a top-up,
    a debt, a withdrawal of fees) and agrees with it in amount, asset and player."""
    HISTORIES_OWNED = "histories_owned"
    """Every history belongs to a campaign, round, payout, claim or entry that exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchResult:
    """The result of one run of a watch: the breaches as sentences, what it covered as text, and the number of items that it
    checked. ``whole``: this run completes a check of all items.
    """

    breaches: Sequence[str]
    covered: str
    checked: int
    whole: bool
