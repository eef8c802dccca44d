"""Campaigns, as the handlers need them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.domain.campaign_settings import CampaignSettings
from prizewire_rewards.domain.model import Campaign


class Campaigns(Protocol):
    """Campaigns with what their pools hold."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        """Those that exist, locked in the order of their ids."""
        ...

    async def load(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        """Those that exist, as they are, without a lock."""
        ...

    async def add(self, campaign: Campaign, *, actor: str, now: datetime) -> None:
        """Store a new campaign."""
        ...

    async def save(self, campaigns: Sequence[Campaign]) -> None:
        """Store state and counters of locked campaigns."""
        ...

    async def take_back(self, amounts: Mapping[UUID, int]) -> None:
        """Count amounts that came back to the pools of campaigns as granted no more. It does not need their locks; a
        campaign that the caller holds must have been saved before.
        """
        ...

    async def keep_settings(self, campaign: Campaign, *, actor: str, now: datetime) -> None:
        """Store the settings of a locked or new campaign under their version, for good."""
        ...

    async def settings(self, campaign: UUID, versions: Iterable[int]) -> dict[int, CampaignSettings]:
        """The settings of a campaign by version."""
        ...

    async def next_with_queue(self) -> UUID | None:
        """A campaign whose longest-waiting round could be booked now."""
        ...
