"""Prizes that are to be claimed."""

from collections.abc import Sequence
from datetime import datetime

from prizewire_rewards.domain.events import Event
from prizewire_rewards.domain.model import Campaign, Reward, Settlement
from prizewire_rewards.ports import Work

__all__ = ["open_claims"]


async def open_claims(
    rewards: Sequence[Reward], *, settlement: Settlement, campaign: Campaign, work: Work, now: datetime
) -> list[Event]:
    """Prizes became claimable in this transaction; answers what is to be told of their claims."""
    del rewards, settlement, campaign, work, now  # a prize without a deadline is claimable for ever
    return []
