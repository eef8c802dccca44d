"""The ports of one transaction over PostgreSQL."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.campaigns.ports import Campaigns, CapCounts
from prizewire_rewards.campaigns.storage.campaigns import SqlCampaigns
from prizewire_rewards.campaigns.storage.caps import SqlCaps
from prizewire_rewards.claims.ports import Claims
from prizewire_rewards.claims.storage import SqlClaims
from prizewire_rewards.entries.ports import Entries
from prizewire_rewards.entries.storage import SqlEntries
from prizewire_rewards.fees.ports import FeeWithdrawals
from prizewire_rewards.fees.storage import SqlFeeWithdrawals
from prizewire_rewards.ledger.ports import History, Ledger, Messages, Parties, Pools, Receivables
from prizewire_rewards.ledger.storage.accounts import SqlLedger
from prizewire_rewards.ledger.storage.history import SqlHistory
from prizewire_rewards.ledger.storage.parties import SqlParties
from prizewire_rewards.ledger.storage.receivables import SqlReceivables
from prizewire_rewards.payouts.ports import Fundings, Methods, Payouts, Withdrawals
from prizewire_rewards.payouts.storage.funding import SqlFundings, SqlWithdrawals
from prizewire_rewards.payouts.storage.methods import SqlMethods
from prizewire_rewards.payouts.storage.payouts import SqlPayouts
from prizewire_rewards.players.ports import Players
from prizewire_rewards.players.storage import SqlPlayers
from prizewire_rewards.prizes.ports import Rounds
from prizewire_rewards.prizes.storage.rounds import SqlRounds
from prizewire_rewards.rounds.ports import Disownments
from prizewire_rewards.rounds.storage.disownments import SqlDisownments
from prizewire_rewards.topups.ports import Topups
from prizewire_rewards.topups.storage import SqlTopups
from prizewire_rewards.wallets.ports import Openings
from prizewire_rewards.wallets.storage.openings import SqlOpenings


@dataclass(slots=True)
class Ports:
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
    pools: Pools


def ports_of(tx: AsyncConnection, *, messages: Messages) -> Ports:
    """The ports over the connection of one transaction."""
    campaigns = SqlCampaigns(tx)
    return Ports(
        ledger=SqlLedger(tx),
        campaigns=campaigns,
        rounds=SqlRounds(tx),
        payouts=SqlPayouts(tx),
        methods=SqlMethods(tx),
        claims=SqlClaims(tx),
        caps=SqlCaps(tx),
        players=SqlPlayers(tx),
        history=SqlHistory(tx),
        messages=messages,
        entries=SqlEntries(tx),
        topups=SqlTopups(tx),
        fundings=SqlFundings(tx),
        fees=SqlFeeWithdrawals(tx),
        disownments=SqlDisownments(tx),
        withdrawals=SqlWithdrawals(tx),
        receivables=SqlReceivables(tx),
        openings=SqlOpenings(tx),
        parties=SqlParties(tx),
        pools=campaigns,
    )
