"""The unit of work of rounds: what one transaction reads and writes."""

from dataclasses import dataclass, field

from prizewire_settlement.competitions.ports import Campaigns
from prizewire_settlement.rounds.domain.changes import RoundChange
from prizewire_settlement.rounds.ports import EventSink, RoundChanges, RoundStore


@dataclass(slots=True, kw_only=True)
class UnitOfWork:
    """The stores of one transaction. ``add`` collects changes, ``save`` writes all of them with their events."""

    rounds: RoundStore
    campaigns: Campaigns
    events: EventSink
    changes: RoundChanges = field(default_factory=RoundChanges)

    def add(self, change: RoundChange, *, new: bool = False) -> None:
        """Collect what one report or decision changes. ``new``: its round has no row yet."""
        self.changes.add(change, new=new)

    async def save(self) -> None:
        """Write the collected changes and publish their events in the order in which they were added.

        Nothing is written where nothing was added.
        """
        if not self.changes.rounds and not self.changes.disownments:
            return
        await self.rounds.save(self.changes)
        if self.changes.events:
            await self.events.publish(self.changes.events)
