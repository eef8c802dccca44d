"""Events about campaigns and their pools as contracts."""

from functools import partial
from typing import Final

from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.events import rewards as wire
from prizewire_rewards.campaigns.domain.model import (
    Campaign,
    CampaignChanged,
    CampaignFunded,
    CampaignWithdrawn,
    PoolExhausted,
    PoolLow,
)
from prizewire_rewards.ledger.messages import Encoders, EventWriter


def _campaign_changed(event: CampaignChanged, writer: EventWriter) -> EncodedEvent:
    campaign = event.campaign
    data = wire.CampaignChanged(
        campaign=campaign.id,
        name=campaign.name,
        asset=campaign.asset,
        state=campaign.state,
        delivery=campaign.delivery,
        actor=event.actor,
    )
    model = wire.CampaignCreatedEvent if event.created else wire.CampaignStateChangedEvent
    return _of_campaign(writer, model, data, campaign, event.cause)


def _campaign_funded(event: CampaignFunded, writer: EventWriter) -> EncodedEvent:
    campaign = event.campaign
    data = wire.CampaignFunded(
        campaign=campaign.id,
        asset=campaign.asset,
        amount=writer.amount(campaign.asset, event.amount),
        funded_total=writer.amount(campaign.asset, campaign.funded),
        actor=event.actor,
    )
    return _of_campaign(writer, wire.CampaignFundedEvent, data, campaign, None)


def _campaign_withdrawn(event: CampaignWithdrawn, writer: EventWriter) -> EncodedEvent:
    campaign = event.campaign
    data = wire.CampaignWithdrawn(
        campaign=campaign.id,
        asset=campaign.asset,
        amount=writer.amount(campaign.asset, event.amount),
        withdrawn_total=writer.amount(campaign.asset, campaign.withdrawn),
        actor=event.actor,
    )
    return _of_campaign(writer, wire.CampaignWithdrawnEvent, data, campaign, None)


def _pool(
    model: type[wire.PoolExhaustedEvent] | type[wire.PoolLowEvent],
    event: PoolExhausted | PoolLow,
    writer: EventWriter,
) -> EncodedEvent:
    campaign = event.campaign
    data = wire.PoolLevel(
        campaign=campaign.id,
        asset=campaign.asset,
        available=writer.amount(campaign.asset, campaign.available),
    )
    return _of_campaign(writer, model, data, campaign, event.cause)


def _of_campaign(
    writer: EventWriter,
    model: type[Envelope],
    data: wire.CampaignChanged | wire.CampaignFunded | wire.CampaignWithdrawn | wire.PoolLevel,
    campaign: Campaign,
    cause: str | None,
) -> EncodedEvent:
    """An event about a campaign. Its correlation id, and so its Kafka key, is the campaign's id: the events keep their order."""
    return writer.outbox.event(
        model,
        data,
        subject=str(campaign.id),
        version=campaign.version,
        correlation_id=str(campaign.id),
        causation_id=cause,
    )


ENCODERS: Final[Encoders] = {
    CampaignChanged: _campaign_changed,
    CampaignFunded: _campaign_funded,
    CampaignWithdrawn: _campaign_withdrawn,
    PoolExhausted: partial(_pool, wire.PoolExhaustedEvent),
    PoolLow: partial(_pool, wire.PoolLowEvent),
}
