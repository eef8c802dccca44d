"""Campaigns: create, fund, withdraw, change settings and state."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts.parties import PartyRole
from prizewire_rewards.campaigns.domain.commands import (
    ChangeCampaign,
    CreateCampaign,
    FundCampaign,
    SetCampaignSettings,
    WithdrawFromCampaign,
)
from prizewire_rewards.campaigns.domain.model import (
    CAMPAIGN_EDGES,
    Campaign,
    CampaignChanged,
    CampaignFunded,
    CampaignState,
    CampaignWithdrawn,
    Delivery,
    PoolExhausted,
    check_level,
    funding_move,
    withdrawal_move,
)
from prizewire_rewards.campaigns.domain.settings import CampaignSettings
from prizewire_rewards.campaigns.ports import CampaignPorts
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.records import (
    Transition,
    campaign_source,
    check_intake,
    check_reference,
    step,
)
from prizewire_rewards.ledger.handlers import Booking, UnitOfWork
from prizewire_rewards.ledger.ports import Tools

SYSTEM = "rewards"


async def create_campaign(
    command: CreateCampaign, *, ports: CampaignPorts, tools: Tools, now: datetime
) -> Campaign:
    """Create a campaign in ``draft``.

    Raises:
        InvalidRequest: ``asset_unknown``, or ``asset_not_redeemable`` with a delivery that pays out or lets players claim.
    """
    asset = tools.assets.get(command.asset)
    if asset is None:
        raise InvalidRequest("asset_unknown", tools.assets.refusal_of(command.asset))
    if command.delivery is not Delivery.WALLET and not asset.redeemable:
        raise InvalidRequest(
            "asset_not_redeemable", f"{asset.code} is not redeemable: use the delivery wallet"
        )
    campaign = Campaign(
        id=command.id,
        name=command.name,
        asset=asset.code,
        delivery=command.delivery,
        state=CampaignState.DRAFT,
        version=1,
        settings=command.settings,
        capped=command.settings.caps.any,
    )
    await ports.campaigns.add(campaign, actor=command.actor, now=now)
    await ports.campaigns.keep_settings(campaign, actor=command.actor, now=now)
    await ports.parties.add_source(campaign_source(campaign.id), (PartyRole.RULE_WRITER, command.actor))
    uow = UnitOfWork(ports, now=now)
    uow.transitions.append(
        Transition(
            "campaign",
            campaign.id,
            was="",
            to=campaign.state,
            cause=f"http/{command.id}",
            correlation_id=str(campaign.id),
        )
    )
    uow.events.append(CampaignChanged(campaign=campaign, actor=command.actor, created=True))
    await uow.save()
    return campaign


async def fund_campaign(
    command: FundCampaign, *, ports: CampaignPorts, tools: Tools, now: datetime
) -> Campaign:
    """Put money from outside into a pool. A job then books waiting rounds in their order. A campaign that has ended takes
    money only while a round of it waits after a correction.

    Raises:
        NotFound: ``campaign_unknown``.
        InvalidRequest: ``campaign_ended``, ``amount_not_positive``, ``amount_too_large`` or ``reference_used``.
    """
    campaign = await _locked(command.campaign, ports=ports)
    if campaign.state is CampaignState.ENDED and not campaign.queued:
        raise InvalidRequest(
            "campaign_ended", f"the campaign {campaign.id} has ended, and no round of it waits for money"
        )
    if command.amount <= 0:
        raise InvalidRequest("amount_not_positive", "the amount must be above zero")
    intake = await ports.ledger.lock_intake(campaign.asset)
    asset = tools.assets[campaign.asset]
    check_intake(asset, intake=intake, amount=command.amount)
    move = funding_move(campaign=str(campaign.id), asset=campaign.asset, amount=command.amount)
    earlier = await ports.ledger.earlier_funding(move.credit, reference=command.reference)
    repeats = check_reference(earlier, reference=command.reference, asset=asset, repeated=command.repeated)
    uow = UnitOfWork(ports, now=now)
    uow.bookings.append(Booking([move], cause=f"fund/{command.id}", correlation_id=str(campaign.id)))
    await ports.ledger.document(
        await uow.post(),
        actor=command.actor,
        references=[command.reference],
        now=now,
        repeats=repeats,
    )
    await ports.parties.add_source(campaign_source(campaign.id), (PartyRole.FUNDER, command.actor))
    campaign = replace(
        campaign,
        funded=campaign.funded + command.amount,
        available=campaign.available + command.amount,
        version=campaign.version + 1,
    )
    uow.events.append(CampaignFunded(campaign=campaign, amount=command.amount, actor=command.actor))
    return await _save_with_level(campaign, uow=uow, ports=ports)


async def withdraw_from_campaign(
    command: WithdrawFromCampaign, *, ports: CampaignPorts, tools: Tools, now: datetime
) -> Campaign:
    """Withdraw money that no round has reserved from a pool.

    Raises:
        NotFound: ``campaign_unknown``.
        InvalidRequest: ``campaign_has_unfunded``: rounds wait for the money;
            ``amount_not_positive``; ``pool_insufficient``.
    """
    campaign = await _locked(command.campaign, ports=ports)
    if campaign.queued:
        raise InvalidRequest(
            "campaign_has_unfunded",
            f"rounds of the campaign wait for money ({campaign.queued} in all): fund it first",
        )
    amount = campaign.available if command.amount is None else command.amount
    if command.amount is not None and amount <= 0:
        raise InvalidRequest("amount_not_positive", "the amount must be above zero")
    if amount == 0:
        raise InvalidRequest("pool_insufficient", "the pool is empty")
    if amount > campaign.available:
        asset = tools.assets[campaign.asset]
        raise InvalidRequest(
            "pool_insufficient",
            f"the pool does not cover the requested {asset.describe(amount)}: {asset.describe(campaign.available)} is "
            "available",
        )
    uow = UnitOfWork(ports, now=now)
    move = withdrawal_move(campaign=str(campaign.id), asset=campaign.asset, amount=amount)
    uow.bookings.append(Booking([move], cause=f"withdraw/{command.id}", correlation_id=str(campaign.id)))
    await uow.post()
    campaign = replace(
        campaign,
        withdrawn=campaign.withdrawn + amount,
        available=campaign.available - amount,
        version=campaign.version + 1,
    )
    uow.events.append(CampaignWithdrawn(campaign=campaign, amount=amount, actor=command.actor))
    return await _save_with_level(campaign, uow=uow, ports=ports)


async def set_settings(command: SetCampaignSettings, *, ports: CampaignPorts, now: datetime) -> Campaign:
    """Replace the settings of a campaign, as the next version. The same settings again have no effect. The first caps count
    all that the campaign has granted so far.

    Raises:
        NotFound: ``campaign_unknown``.
        InvalidRequest: ``campaign_ended``.
    """
    campaign = await _locked(command.campaign, ports=ports)
    if campaign.settings == command.settings:
        return campaign
    if campaign.state is CampaignState.ENDED and _limits(campaign.settings) != _limits(command.settings):
        raise InvalidRequest(
            "campaign_ended",
            f"the campaign {campaign.id} has ended: its caps and its low-water mark cannot change",
        )
    begins = command.settings.caps.any and not campaign.capped
    campaign = replace(
        campaign,
        settings=command.settings,
        settings_version=campaign.settings_version + 1,
        capped=campaign.capped or begins,
    )
    if begins:
        await ports.caps.begin(campaign.id)
    await ports.campaigns.keep_settings(campaign, actor=command.actor, now=now)
    await ports.parties.add_source(campaign_source(campaign.id), (PartyRole.RULE_WRITER, command.actor))
    return await _save_with_level(campaign, uow=UnitOfWork(ports, now=now), ports=ports)


def _limits(settings: CampaignSettings) -> tuple[object, ...]:
    return settings.low_water, settings.caps


async def _save_with_level(campaign: Campaign, *, uow: UnitOfWork, ports: CampaignPorts) -> Campaign:
    """Store a campaign whose pool or low-water mark has changed. Emit ``pool.low`` where the pool became low."""
    campaign, low = check_level(campaign)
    await ports.campaigns.save([campaign])
    if low is not None:
        uow.events.append(low)
    await uow.save()
    return campaign


async def change_campaign(
    command: ChangeCampaign, *, ports: CampaignPorts, now: datetime
) -> tuple[Campaign, bool]:
    """Activate, pause or end a campaign. Returns it, and whether it changed: one that is in this state already does not.

    A campaign that is activated while rounds wait becomes exhausted at once, until its waiting rounds are booked.

    Raises:
        NotFound: ``campaign_unknown``.
        IllegalTransition: the state machine has no such edge.
        InvalidRequest: ``campaign_has_unfunded``: it cannot end while rounds wait for money.
    """
    campaign = await _locked(command.campaign, ports=ports)
    to = CampaignState(command.to)
    exhausted = campaign.state is CampaignState.EXHAUSTED and to is CampaignState.ACTIVE
    if campaign.state is to or exhausted:
        # An exhausted campaign becomes active without a request, when its waiting rounds have been paid.
        return campaign, False
    if to is CampaignState.ENDED and campaign.queued:
        raise InvalidRequest(
            "campaign_has_unfunded",
            f"rounds of the campaign wait for money ({campaign.queued} in all): fund it first",
        )
    state = step(edges=CAMPAIGN_EDGES, was=campaign.state, to=to)
    changed = replace(campaign, state=state, version=campaign.version + 1)
    await ports.campaigns.save([changed])
    uow = UnitOfWork(ports, now=now)
    uow.transitions.append(
        Transition(
            "campaign",
            campaign.id,
            was=campaign.state,
            to=state,
            cause=f"{command.actor}/{state}",
            correlation_id=str(campaign.id),
        )
    )
    uow.events.append(CampaignChanged(campaign=changed, actor=command.actor, created=False))
    if state is CampaignState.ACTIVE and changed.queued:
        changed = _exhaust(changed, uow=uow)
        await ports.campaigns.save([changed])
    await uow.save()
    return changed, True


def _exhaust(campaign: Campaign, *, uow: UnitOfWork) -> Campaign:
    """The activated campaign as exhausted: rounds of it wait, so that rounds that settle now have to wait too."""
    state = step(edges=CAMPAIGN_EDGES, was=campaign.state, to=CampaignState.EXHAUSTED)
    uow.transitions.append(
        Transition(
            "campaign",
            campaign.id,
            was=campaign.state,
            to=state,
            cause=f"campaign/{campaign.id}/rounds-wait",
            correlation_id=str(campaign.id),
        )
    )
    exhausted = replace(campaign, state=state, version=campaign.version + 1)
    uow.events.append(CampaignChanged(campaign=exhausted, actor=SYSTEM, created=False))
    exhausted = replace(exhausted, version=exhausted.version + 1)
    uow.events.append(PoolExhausted(campaign=exhausted))
    return exhausted


async def _locked(campaign_id: UUID, *, ports: CampaignPorts) -> Campaign:
    campaigns = await ports.campaigns.lock([campaign_id])
    if campaign_id not in campaigns:
        raise NotFound("campaign_unknown", f"there is no campaign {campaign_id}")
    return campaigns[campaign_id]
