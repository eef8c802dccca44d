"""The ports of one transaction, together, and the order in which it locks.

Locks are taken in one order: disownments, rounds of entries, campaigns, rounds, payouts, claims, caps, top-ups, entries, accounts,
each sorted; who claims comes before all. A pool is moved only under its campaign's lock (but for debts that come back
to it, which only add to it), and so is what is counted for caps; a reserved account under its round's, a payout's
holding under its payout's; receivables, and who is behind a wallet, only after the player's winnings.
"""

from dataclasses import dataclass

from prizewire_rewards.ports.campaigns import Campaigns
from prizewire_rewards.ports.claims import CapCounts, Claims, Players
from prizewire_rewards.ports.disownments import Disownments
from prizewire_rewards.ports.fees import FeeWithdrawals
from prizewire_rewards.ports.ledger import Ledger, Openings, Receivables
from prizewire_rewards.ports.money import Entries, Fundings, Topups, Withdrawals
from prizewire_rewards.ports.parties import Parties
from prizewire_rewards.ports.payouts import Methods, Payouts
from prizewire_rewards.ports.rounds import Rounds
from prizewire_rewards.ports.trail import History, Messages


@dataclass(frozen=True, slots=True)
class Work:
    """The ports of one transaction."""

    ledger: Ledger
    campaigns: Campaigns
    rounds: Rounds
    payouts: Payouts
    methods: Methods
    claims: Claims
    caps: CapCounts
    players: Players
    history: History
    messages: Messages
    openings: Openings
    entries: Entries
    topups: Topups
    fundings: Fundings
    fees: FeeWithdrawals
    disownments: Disownments
    withdrawals: Withdrawals
    receivables: Receivables
    parties: Parties
