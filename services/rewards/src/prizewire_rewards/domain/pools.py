"""How full a pool is: told once when it becomes low, and again only after it has risen."""

from dataclasses import replace

from prizewire_rewards.domain.events import PoolLow
from prizewire_rewards.domain.model import Campaign


def watch_level(campaign: Campaign, *, cause: str | None = None) -> tuple[Campaign, PoolLow | None]:
    """The campaign with its level noted, and what to tell of it. To be asked after what it holds, or its low-water
    mark, has changed.
    """
    mark = campaign.settings.low_water
    low = mark is not None and campaign.available < mark
    if low == campaign.low:
        return campaign, None
    if not low:
        return replace(campaign, low=False), None
    campaign = replace(campaign, low=True, version=campaign.version + 1)
    return campaign, PoolLow(campaign=campaign, cause=cause)
