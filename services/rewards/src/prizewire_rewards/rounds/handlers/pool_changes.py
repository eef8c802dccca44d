"""Changes of campaigns in one transaction: their pools, their queues of waiting rounds, and their states."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import (
    CAMPAIGN_EDGES,
    Campaign,
    CampaignChanged,
    CampaignState,
    PoolExhausted,
)
from prizewire_rewards.ledger.domain.records import Event, step
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.prizes.domain.model import Round
from prizewire_rewards.prizes.domain.states import RoundState
from prizewire_rewards.rounds.handlers.follow_ups import PendingEvent

SYSTEM = "rewards"


class PoolChanges:
    """What one transaction changes of locked campaigns. ``moved_campaigns`` are those to be saved."""

    def __init__(self, campaigns: Mapping[UUID, Campaign], *, uow: UnitOfWork) -> None:
        self.campaigns = dict(campaigns)
        self.moved_campaigns: set[UUID] = set()
        self._uow = uow
        self._events: list[PendingEvent | Event] = []
        self._queued_rounds = 0

    def reopen_if_paid(self, campaign_id: UUID) -> None:
        """Set an exhausted campaign active again if no round waits in its queue."""
        campaign = self.campaigns[campaign_id]
        if campaign.state is CampaignState.EXHAUSTED and not campaign.queued:
            self._move_campaign(campaign, CampaignState.ACTIVE, cause=f"campaign/{campaign_id}/queue-empty")

    def grant(self, campaign_id: UUID, amount: int) -> None:
        """Reduce a pool by a granted amount; a negative amount came back to it."""
        campaign = self.campaigns[campaign_id]
        self.campaigns[campaign_id] = replace(
            campaign, available=campaign.available - amount, granted=campaign.granted + amount
        )
        self.moved_campaigns.add(campaign_id)

    def queue(self, round_: Round, *, cause: str) -> Round:
        """Add a round at the end of its campaign's queue. Returns the round with its position."""
        campaign = self.campaigns[round_.settlement.campaign]
        position = campaign.queue_tail + 1
        self._queued_rounds += 1
        campaign = replace(campaign, queued=campaign.queued + 1, queue_tail=position)
        self.campaigns[campaign.id] = campaign
        self.moved_campaigns.add(campaign.id)
        if campaign.state is CampaignState.ACTIVE:
            campaign = self._move_campaign(campaign, CampaignState.EXHAUSTED, cause=cause)
            campaign = replace(campaign, version=campaign.version + 1)
            self.campaigns[campaign.id] = campaign
            self._events.append(PoolExhausted(campaign=campaign, cause=cause))
        return replace(round_, queue_position=position)

    def dequeue(self, round_: Round, *, state: RoundState) -> Round:
        """Remove a round from the queue. The caller stores the returned round, which has its new state."""
        campaign = self.campaigns[round_.settlement.campaign]
        self.campaigns[campaign.id] = replace(campaign, queued=campaign.queued - 1)
        self.moved_campaigns.add(campaign.id)
        return replace(round_, state=state, queue_position=None, short=0)

    def _move_campaign(self, campaign: Campaign, to: CampaignState, *, cause: str) -> Campaign:
        state = step(edges=CAMPAIGN_EDGES, was=campaign.state, to=to)
        moved = replace(campaign, state=state, version=campaign.version + 1)
        self.campaigns[campaign.id] = moved
        self.moved_campaigns.add(campaign.id)
        self._uow.transition(
            "campaign",
            campaign.id,
            was=campaign.state,
            to=state,
            cause=cause,
            correlation_id=str(campaign.id),
        )
        self._events.append(CampaignChanged(campaign=moved, actor=SYSTEM, created=False))
        return moved
