"""Effects of changed rounds on claims, counts of caps, and levels of pools."""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from datetime import datetime
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import Campaign, Delivery
from prizewire_rewards.campaigns.domain.pools import check_level
from prizewire_rewards.claims.handlers.claims import close_claims
from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.ledger.handlers.unit_of_work import UnitOfWork
from prizewire_rewards.prizes.domain.model import Reward, Round
from prizewire_rewards.prizes.domain.states import RewardState
from prizewire_rewards.prizes.handlers.caps import recount
from prizewire_rewards.rounds.ports import RoundPorts

Changed = Mapping[UUID, Sequence[Reward]]
"""Loaded prizes of rounds that existed before the transaction, by round."""


async def close_lost_claims(
    changed: Changed,
    *,
    rounds: Mapping[UUID, Round],
    deliveries: Mapping[UUID, Campaign],
    uow: UnitOfWork,
    ports: RoundPorts,
) -> None:
    """End the claims of prizes that a correction or a disownment took back. Nothing else takes claimable prizes back."""
    for round_id, rewards in changed.items():
        head = rounds[round_id].settlement
        if head.final and deliveries[head.campaign].delivery is Delivery.CLAIM:
            lost = [reward for reward in rewards if reward.state is RewardState.REVERSED]
            if lost:
                await close_claims(lost, uow=uow, ports=ports)


async def recount_changed(
    changed: Changed,
    *,
    rounds: Mapping[UUID, Round],
    campaigns: Mapping[UUID, Campaign],
    ports: RoundPorts,
    now: datetime,
) -> None:
    """Count prizes of locked campaigns with caps with their present amounts."""
    for round_id, rewards in changed.items():
        head = rounds[round_id].settlement
        campaign = campaigns.get(head.campaign)
        if campaign is not None and campaign.capped:
            await recount(rewards, settlement=head, campaign=campaign, ports=ports, now=now)


def update_levels(campaigns: MutableMapping[UUID, Campaign], moved: Iterable[UUID]) -> list[Event]:
    """Update the levels of changed pools. Returns the events about low pools."""
    events: list[Event] = []
    for key in sorted(moved):
        campaigns[key], low = check_level(campaigns[key])
        if low is not None:
            events.append(low)
    return events
