"""The ports over PostgreSQL, one module for each aggregate; sets of rows go in and out with single statements."""

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.adapters.storage.campaigns import SqlCampaigns
from prizewire_rewards.adapters.storage.caps import SqlCaps
from prizewire_rewards.adapters.storage.claims import SqlClaims
from prizewire_rewards.adapters.storage.disownments import SqlDisownments
from prizewire_rewards.adapters.storage.entries import SqlEntries
from prizewire_rewards.adapters.storage.fees import SqlFeeWithdrawals
from prizewire_rewards.adapters.storage.funding import SqlFundings, SqlWithdrawals
from prizewire_rewards.adapters.storage.history import SqlHistory
from prizewire_rewards.adapters.storage.ledger import SqlLedger
from prizewire_rewards.adapters.storage.methods import SqlMethods
from prizewire_rewards.adapters.storage.openings import SqlOpenings
from prizewire_rewards.adapters.storage.parties import SqlParties
from prizewire_rewards.adapters.storage.payouts import SqlPayouts
from prizewire_rewards.adapters.storage.players import SqlPlayers
from prizewire_rewards.adapters.storage.receivables import SqlReceivables
from prizewire_rewards.adapters.storage.rounds import SqlRounds
from prizewire_rewards.adapters.storage.topups import SqlTopups
from prizewire_rewards.ports import Messages, Work

__all__ = ["work_of"]


def work_of(tx: AsyncConnection, *, messages: Messages) -> Work:
    """The ports of one transaction."""
    return Work(
        ledger=SqlLedger(tx),
        campaigns=SqlCampaigns(tx),
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
    )
