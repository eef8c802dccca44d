"""Moves of pools, and their low-water mark."""

from dataclasses import replace

from prizewire_rewards.campaigns.domain.events import PoolLow
from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.moves import WORLD


def funding_move(*, campaign: str, asset: str, amount: int) -> Move:
    """Money from outside into a pool."""
    return Move(
        TransferType.CAMPAIGN_FUNDED,
        Account(Kind.EXTERNAL_IN, WORLD, asset),
        Account(Kind.POOL, campaign, asset),
        amount,
    )


def withdrawal_move(*, campaign: str, asset: str, amount: int) -> Move:
    """Money that no round has reserved out of a pool."""
    return Move(
        TransferType.CAMPAIGN_WITHDRAWN,
        Account(Kind.POOL, campaign, asset),
        Account(Kind.EXTERNAL_OUT, WORLD, asset),
        amount,
    )


def check_level(campaign: Campaign, *, cause: str | None = None) -> tuple[Campaign, PoolLow | None]:
    """The campaign with ``low`` up to date, and the event to emit, if any. Call it after a change of the pool or of its
    low-water mark.
    """
    mark = campaign.settings.low_water
    low = mark is not None and campaign.available < mark
    if low == campaign.low:
        return campaign, None
    if not low:
        return replace(campaign, low=False), None
    campaign = replace(campaign, low=True, version=campaign.version + 1)
    return campaign, PoolLow(campaign=campaign, cause=cause)
