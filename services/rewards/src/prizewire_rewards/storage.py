"""The ports of all features over one transaction, and the encoding of their events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.outbox import Outbox
from prizewire_money import AssetRegistry
from prizewire_rewards.assignments.ports import Assignments
from prizewire_rewards.assignments.storage import SqlAssignments
from prizewire_rewards.campaigns.messages import ENCODERS as CAMPAIGNS
from prizewire_rewards.campaigns.ports import Campaigns, CapCounts
from prizewire_rewards.campaigns.storage.campaigns import SqlCampaigns
from prizewire_rewards.campaigns.storage.caps import SqlCaps
from prizewire_rewards.claims.messages import ENCODERS as CLAIMS
from prizewire_rewards.claims.ports import Claims
from prizewire_rewards.claims.storage import SqlClaims
from prizewire_rewards.entries.messages import ENCODERS as ENTRIES
from prizewire_rewards.entries.ports import Entries
from prizewire_rewards.entries.storage import SqlEntries
from prizewire_rewards.fees.ports import FeeWithdrawals
from prizewire_rewards.fees.storage import SqlFeeWithdrawals
from prizewire_rewards.ledger.domain.records import Event
from prizewire_rewards.ledger.messages import ENCODERS as LEDGER
from prizewire_rewards.ledger.messages import Encoders, EventWriter
from prizewire_rewards.ledger.ports import History, Ledger, Messages, Parties, Pools, Receivables
from prizewire_rewards.ledger.storage.accounts import SqlHistory, SqlLedger
from prizewire_rewards.ledger.storage.receivables import SqlParties, SqlReceivables
from prizewire_rewards.payouts.messages import ENCODERS as PAYOUTS
from prizewire_rewards.payouts.ports import Batches, Fundings, Methods, Payouts, Withdrawals
from prizewire_rewards.payouts.storage.batches import SqlBatches
from prizewire_rewards.payouts.storage.funding import SqlFundings, SqlWithdrawals
from prizewire_rewards.payouts.storage.payouts import SqlMethods, SqlPayouts
from prizewire_rewards.players.ports import Players
from prizewire_rewards.players.storage import SqlPlayers
from prizewire_rewards.prizes.messages import ENCODERS as PRIZES
from prizewire_rewards.prizes.ports import Rounds
from prizewire_rewards.prizes.storage.rounds import SqlRounds
from prizewire_rewards.rounds.messages import ENCODERS as ROUNDS
from prizewire_rewards.rounds.ports import Disownments
from prizewire_rewards.rounds.storage import SqlDisownments
from prizewire_rewards.topups.messages import ENCODERS as TOPUPS
from prizewire_rewards.topups.ports import Topups
from prizewire_rewards.topups.storage import SqlTopups
from prizewire_rewards.wallets.ports import Openings
from prizewire_rewards.wallets.storage.balances import SqlOpenings


@dataclass(slots=True)
class Ports:
    """The ports of one transaction."""

    ledger: Ledger
    campaigns: Campaigns
    rounds: Rounds
    payouts: Payouts
    methods: Methods
    assignments: Assignments
    claims: Claims
    caps: CapCounts
    players: Players
    history: History
    messages: Messages
    openings: Openings
    entries: Entries
    topups: Topups
    fundings: Fundings
    batches: Batches
    fees: FeeWithdrawals
    disownments: Disownments
    withdrawals: Withdrawals
    receivables: Receivables
    parties: Parties
    pools: Pools


def ports_of(tx: AsyncConnection, *, outbox: Outbox, assets: AssetRegistry) -> Ports:
    """The ports over the connection of one transaction. Events go to its outbox."""
    campaigns = SqlCampaigns(tx)
    return Ports(
        ledger=SqlLedger(tx),
        campaigns=campaigns,
        rounds=SqlRounds(tx),
        payouts=SqlPayouts(tx),
        methods=SqlMethods(tx),
        assignments=SqlAssignments(tx),
        claims=SqlClaims(tx),
        caps=SqlCaps(tx),
        players=SqlPlayers(tx),
        history=SqlHistory(tx),
        messages=OutboxMessages(tx, outbox=outbox, assets=assets),
        entries=SqlEntries(tx),
        topups=SqlTopups(tx),
        fundings=SqlFundings(tx),
        batches=SqlBatches(tx),
        fees=SqlFeeWithdrawals(tx),
        disownments=SqlDisownments(tx),
        withdrawals=SqlWithdrawals(tx),
        receivables=SqlReceivables(tx),
        openings=SqlOpenings(tx),
        parties=SqlParties(tx),
        pools=campaigns,
    )


ENCODERS: Final[Encoders] = {
    **CAMPAIGNS,
    **CLAIMS,
    **ENTRIES,
    **LEDGER,
    **PAYOUTS,
    **PRIZES,
    **ROUNDS,
    **TOPUPS,
}
"""The encoder of each event."""


class OutboxMessages:
    """The outbox of one transaction."""

    def __init__(self, tx: AsyncConnection, *, outbox: Outbox, assets: AssetRegistry) -> None:
        self._tx = tx
        self._writer = EventWriter(outbox, assets)

    async def publish(self, events: Sequence[Event]) -> None:
        """Add events to the outbox, in this order, with one statement."""
        encoded = [ENCODERS[type(event)](event, self._writer) for event in events]
        await self._writer.outbox.add(self._tx, encoded)
