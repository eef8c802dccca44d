"""Encodes domain events and adds them to the outbox of the same transaction."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.outbox import Outbox
from prizewire_money import AssetRegistry
from prizewire_rewards.campaigns.messages import ENCODERS as CAMPAIGNS
from prizewire_rewards.claims.messages import ENCODERS as CLAIMS
from prizewire_rewards.entries.messages import ENCODERS as ENTRIES
from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.ledger.messages import ENCODERS as LEDGER
from prizewire_rewards.ledger.messages import Encoders, EventWriter
from prizewire_rewards.payouts.messages import ENCODERS as PAYOUTS
from prizewire_rewards.prizes.messages import ENCODERS as PRIZES
from prizewire_rewards.rounds.messages import ENCODERS as ROUNDS
from prizewire_rewards.topups.messages import ENCODERS as TOPUPS

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
