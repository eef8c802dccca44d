"""Events about campaigns and pools."""

from dataclasses import dataclass

from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.ledger.domain.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignChanged(Event):
    """A campaign was created (version 1) or changed its state."""

    campaign: Campaign
    actor: str
    created: bool
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignFunded(Event):
    """Money came into a pool."""

    campaign: Campaign
    amount: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolExhausted(Event):
    """A round needs more than the pool holds."""

    campaign: Campaign
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignWithdrawn(Event):
    """Money that no round had reserved left a pool."""

    campaign: Campaign
    amount: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLow(Event):
    """A pool holds less than its low-water mark."""

    campaign: Campaign
    cause: str | None = None
