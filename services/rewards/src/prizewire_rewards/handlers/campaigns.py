"""Campaigns: made, funded, moved on; and rounds that waited for money, booked in their order."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prizewire_rewards.domain.booking import funding_move
from prizewire_rewards.domain.commands import ChangeCampaign, CreateCampaign, FundCampaign
from prizewire_rewards.domain.errors import InvalidRequest, NotFound
from prizewire_rewards.domain.events import CampaignChanged, CampaignFunded
from prizewire_rewards.domain.model import Campaign, Delivery, Transition
from prizewire_rewards.domain.states import CAMPAIGN_EDGES, CampaignState, step
from prizewire_rewards.handlers.desk import Booked, Desk
from prizewire_rewards.handlers.desk.changes import release
from prizewire_rewards.handlers.journal import Journal
from prizewire_rewards.ports import Tools, Work

__all__ = ["change_campaign", "create_campaign", "fund_campaign", "release_next"]

RELEASED_AT_ONCE_MAX = 50
"""Rounds booked in one transaction of a release, so that consumers are never locked out for long."""
FUNDED_MAX = 2**62
"""A campaign's total stays far from the largest integer that the database holds."""


async def create_campaign(command: CreateCampaign, *, work: Work, tools: Tools, now: datetime) -> Campaign:
    """Make a campaign in ``draft``.

    Raises:
        InvalidRequest: ``asset_unknown``, or ``asset_not_redeemable`` with a delivery that pays out.
    """
    asset = tools.assets.get(command.asset)
    if asset is None:
        raise InvalidRequest("asset_unknown", f"there is no asset {command.asset}")
    if command.delivery is Delivery.DIRECT and not asset.redeemable:
        raise InvalidRequest("asset_not_redeemable", f"{asset.code} can never be paid out")
    campaign = Campaign(
        id=command.id,
        name=command.name,
        asset=asset.code,
        delivery=command.delivery,
        state=CampaignState.DRAFT,
        version=1,
    )
    await work.campaigns.add(campaign, actor=command.actor, now=now)
    cause = f"http/{command.id}"
    await work.history.add(
        [Transition("campaign", campaign.id, "", campaign.state, cause, str(campaign.id))], now=now
    )
    await work.messages.publish([CampaignChanged(campaign=campaign, actor=command.actor, created=True)])
    return campaign


async def fund_campaign(command: FundCampaign, *, work: Work, now: datetime) -> Campaign:
    """Put money from outside into a pool. Waiting rounds are booked afterwards, in their order. A campaign that ended
    takes money only for what a later correction left it owing.

    Raises:
        NotFound: ``campaign_unknown``.
        InvalidRequest: ``campaign_ended``, ``amount_not_positive`` or ``amount_too_large``.
    """
    campaign = await _locked(command.campaign, work=work)
    if campaign.state is CampaignState.ENDED and not campaign.queued:
        raise InvalidRequest("campaign_ended", "an ended campaign takes no more money")
    if command.amount <= 0:
        raise InvalidRequest("amount_not_positive", "an amount above zero is needed")
    if campaign.funded + command.amount > FUNDED_MAX:
        raise InvalidRequest("amount_too_large", "the campaign would hold more than can be counted")
    journal = Journal()
    move = funding_move(campaign=str(campaign.id), asset=campaign.asset, amount=command.amount)
    journal.add([move], cause=f"fund/{command.id}", correlation_id=str(campaign.id))
    await work.ledger.post(journal.transfers, now=now)
    campaign = replace(
        campaign,
        funded=campaign.funded + command.amount,
        available=campaign.available + command.amount,
        version=campaign.version + 1,
    )
    await work.campaigns.save([campaign])
    event = CampaignFunded(campaign=campaign, amount=command.amount, actor=command.actor)
    await work.messages.publish([event])
    return campaign


async def change_campaign(command: ChangeCampaign, *, work: Work, now: datetime) -> Campaign:
    """Activate, pause or end a campaign. Asking for the state it is in has no effect.

    Raises:
        NotFound: ``campaign_unknown``.
        IllegalTransition: the state machine has no such edge.
        InvalidRequest: ``campaign_has_unfunded``: it cannot end while it owes prizes.
    """
    campaign = await _locked(command.campaign, work=work)
    to = CampaignState(command.to)
    exhausted = campaign.state is CampaignState.EXHAUSTED and to is CampaignState.ACTIVE
    if campaign.state is to or exhausted:
        # An exhausted campaign is active by itself, once the rounds that wait have been paid.
        return campaign
    if to is CampaignState.ENDED and campaign.queued:
        raise InvalidRequest("campaign_has_unfunded", f"{campaign.queued} rounds wait for money")
    state = step(edges=CAMPAIGN_EDGES, was=campaign.state, to=to)
    changed = replace(campaign, state=state, version=campaign.version + 1)
    await work.campaigns.save([changed])
    cause = f"{command.actor}/{state}"
    await work.history.add(
        [Transition("campaign", campaign.id, campaign.state, state, cause, str(campaign.id))], now=now
    )
    await work.messages.publish([CampaignChanged(campaign=changed, actor=command.actor, created=False)])
    return changed


async def release_next(*, work: Work, tools: Tools, now: datetime) -> Booked | None:
    """Book the longest-waiting rounds of one campaign as far as its pool reaches; None when none can be."""
    campaign_id = await work.campaigns.next_with_queue()
    if campaign_id is None:
        return None
    campaigns = await work.campaigns.lock([campaign_id])
    waiting = await work.rounds.lock_queue(campaign_id, limit=RELEASED_AT_ONCE_MAX)
    rounds = {round_.settlement.round_id: round_ for round_ in waiting}
    small = {key for key, round_ in rounds.items() if not round_.large}
    busy = await work.rounds.pending_work(rounds.keys() - small) if small != rounds.keys() else {}
    rewards = await work.rounds.rewards(small)
    desk = Desk(
        campaigns=campaigns,
        deliveries=campaigns,
        rounds=rounds,
        rewards={key: rewards.get(key, []) for key in rounds},
    )
    for round_id in rounds:
        if round_id in busy or not release(desk, round_id, cause=f"release/{round_id}"):
            break
    desk.reopen_if_paid(campaign_id)
    return await desk.save(work=work, tools=tools, now=now)


async def _locked(campaign_id: UUID, *, work: Work) -> Campaign:
    campaigns = await work.campaigns.lock([campaign_id])
    if campaign_id not in campaigns:
        raise NotFound("campaign_unknown", f"there is no campaign {campaign_id}")
    return campaigns[campaign_id]
