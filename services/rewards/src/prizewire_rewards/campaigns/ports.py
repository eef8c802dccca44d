"""Campaigns, as the handlers need them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.campaigns.domain.caps import CapKey, CapLine
from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.campaigns.domain.settings import CampaignSettings
from prizewire_rewards.ledger.ports import LedgerPorts


class Campaigns(Protocol):
    """Campaigns with the balances of their pools, in one transaction."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        """The campaigns with these ids that exist, locked in the order of their ids."""
        ...

    async def load(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        """The campaigns with these ids that exist, without a lock."""
        ...

    async def add(self, campaign: Campaign, *, actor: str, now: datetime) -> None:
        """Store a new campaign."""
        ...

    async def save(self, campaigns: Sequence[Campaign]) -> None:
        """Store state and counters of locked campaigns."""
        ...

    async def keep_settings(self, campaign: Campaign, *, actor: str, now: datetime) -> None:
        """Store the settings of a locked or new campaign under their version. Versions are never deleted."""
        ...

    async def settings(self, campaign: UUID, versions: Iterable[int]) -> dict[int, CampaignSettings]:
        """The settings of a campaign by version."""
        ...

    async def next_with_queue(self) -> UUID | None:
        """A campaign whose longest-waiting round could be booked now."""
        ...


class CapCounts(Protocol):
    """What campaigns with caps have granted. The caller has locked the campaigns."""

    async def lock(self, keys: Iterable[CapKey]) -> dict[CapKey, int]:
        """The counts above zero (minor units), locked in one order."""
        ...

    async def lines(self, reward_ids: Iterable[UUID]) -> dict[UUID, CapLine]:
        """Those of these prizes that count towards caps."""
        ...

    async def save(self, used: Mapping[CapKey, int], lines: Sequence[CapLine]) -> None:
        """Store counts, and the prizes that count. A prize with the amount zero is deleted from the counts."""
        ...

    async def begin(self, campaign: UUID) -> None:
        """Count all that a campaign without caps has granted so far."""
        ...


class CampaignPorts(LedgerPorts, Protocol):
    """The ports that handlers of campaigns use in one transaction."""

    campaigns: Campaigns
    caps: CapCounts
