"""Domain events as contracts, into the outbox of the same transaction."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.events import rewards as wire
from prizewire_contracts.events import wallets
from prizewire_contracts.events.parties import MoneyParty
from prizewire_contracts.intents import AllowedDestination, Intent
from prizewire_contracts.parties import PartyRole
from prizewire_contracts.text import printable
from prizewire_money import Amount, AssetRegistry
from prizewire_rewards.adapters.wallet_messages import entry_event, topup_event
from prizewire_rewards.domain.claims import CLAIM_LIVE, ClaimState
from prizewire_rewards.domain.events import (
    CampaignChanged,
    CampaignFunded,
    CampaignWithdrawn,
    ClaimMoved,
    EntryMoved,
    Event,
    IntentRenewed,
    OwedStep,
    PayoutAsked,
    PayoutCancelAsked,
    PoolExhausted,
    PoolLow,
    ReceivableChanged,
    RewardsMoved,
    RoundDisowned,
    RoundRefused,
    Told,
    TopupMoved,
)
from prizewire_rewards.domain.model import Payout, Reward, Settlement

_MOVED: Final[Mapping[Told, type[wallets.FromRewards]]] = {
    Told.ALLOCATED: wire.RewardAllocatedEvent,
    Told.RELEASED: wire.RewardReleasedEvent,
    Told.HELD: wire.RewardHeldEvent,
    Told.REVERSED: wire.RewardReversedEvent,
    Told.EXPIRED: wire.RewardExpiredEvent,
}
_OWED: Final[Mapping[OwedStep, type[wallets.FromRewards]]] = {
    OwedStep.OPENED: wallets.ReceivableOpenedEvent,
    OwedStep.RECOVERED: wallets.ReceivableRecoveredEvent,
    OwedStep.WRITTEN_OFF: wallets.ReceivableWrittenOffEvent,
    OwedStep.RESTORED: wallets.ReceivableRestoredEvent,
}


class OutboxMessages:
    """Publishes in one transaction."""

    def __init__(self, tx: AsyncConnection, *, outbox: Outbox, assets: AssetRegistry) -> None:
        self._tx = tx
        self._outbox = outbox
        self._assets = assets

    async def publish(self, events: Sequence[Event]) -> None:
        """Put events into the outbox, in this order, with one statement."""
        await self._outbox.add(self._tx, [self._encode(event) for event in events])

    def _encode(self, event: Event) -> EncodedEvent:  # noqa: C901, PLR0912 - one case for each event
        match event:
            case RewardsMoved():
                return self._rewards(event)
            case RoundRefused():
                return self._refused(event)
            case RoundDisowned():
                return self._disowned(event)
            case ReceivableChanged():
                return self._receivable(event)
            case PayoutAsked():
                return self._payout_asked(event)
            case PayoutCancelAsked():
                return self._cancel_asked(event)
            case IntentRenewed():
                return self._intent_renewed(event)
            case CampaignChanged():
                return self._campaign_changed(event)
            case CampaignFunded():
                return self._campaign_funded(event)
            case PoolExhausted():
                return self._pool(wire.PoolExhaustedEvent, event)
            case PoolLow():
                return self._pool(wire.PoolLowEvent, event)
            case CampaignWithdrawn():
                return self._campaign_withdrawn(event)
            case ClaimMoved():
                return self._claim(event)
            case EntryMoved():
                return entry_event(event, outbox=self._outbox, amount=self._wire)
            case TopupMoved():
                return topup_event(event, outbox=self._outbox, amount=self._wire)

    def _wire(self, asset: str, minor: int) -> str:
        return Amount(self._assets[asset], minor).to_wire()

    def _rewards(self, event: RewardsMoved) -> EncodedEvent:
        head = event.settlement
        return self._outbox.event(
            _MOVED[event.what],
            self._allocated(head, event.part, event.rewards),
            subject=str(head.round_id),
            version=event.version,
            correlation_id=head.correlation_id,
            causation_id=event.cause,
        )

    def _allocated(self, head: Settlement, part: int, rewards: Sequence[Reward]) -> dict[str, Any]:
        """The payload as JSON: it is the one that leaves for every match."""
        render = self._assets[head.asset].render
        return {
            "round_id": str(head.round_id),
            "settlement_version": head.settlement_version,
            "part": part,
            "parts": head.parts,
            "campaign": str(head.campaign),
            "asset": head.asset,
            "lines": [
                {
                    "reward_id": str(reward.id),
                    "line": reward.line.line,
                    "player": reward.line.player,
                    "amount": render(reward.line.amount),
                    "state": reward.state.value,
                    "transfer_id": None if reward.transfer_id is None else str(reward.transfer_id),
                    "note": None if reward.note is None else str(reward.note),
                    "short": render(reward.missing) if reward.missing else None,
                }
                for reward in rewards
            ],
        }

    def _refused(self, event: RoundRefused) -> EncodedEvent:
        refused = event.refused
        head = refused.settlement
        data = wire.RoundRefused(
            round_id=head.round_id,
            settlement_version=head.settlement_version,
            part=refused.part,
            code=wire.RoundRefusal(refused.code),
            detail=printable(refused.detail),
        )
        return self._outbox.event(
            wire.RoundRefusedEvent,
            data,
            subject=str(head.round_id),
            version=refused.version,
            correlation_id=head.correlation_id,
            causation_id=refused.cause,
        )

    def _disowned(self, event: RoundDisowned) -> EncodedEvent:
        disownment = event.disownment
        data = wire.RoundDisowned(
            round_id=disownment.round_id,
            disownment_id=disownment.id,
            reason=printable(disownment.reason),
        )
        return self._outbox.event(
            wire.RoundDisownedEvent,
            data,
            subject=str(disownment.id),
            version=1,
            correlation_id=event.correlation_id,
            causation_id=None,
        )

    def _claim(self, event: ClaimMoved) -> EncodedEvent:
        claim = event.claim
        data = wallets.ClaimChanged(
            reward_id=claim.reward_id,
            round_id=claim.round_id,
            campaign=claim.campaign,
            player=claim.player,
            asset=claim.asset,
            amount=self._wire(claim.asset, claim.amount),
            state=claim.state.value,
            code=event.code,
            deadline=claim.deadline if claim.state in CLAIM_LIVE else None,
            actor=event.actor,
        )
        return self._outbox.event(
            _CLAIM_EVENTS[claim.state],
            data,
            subject=str(claim.reward_id),
            version=claim.version,
            correlation_id=claim.correlation_id,
            causation_id=event.cause,
        )

    def _receivable(self, event: ReceivableChanged) -> EncodedEvent:
        debt = event.receivable
        data = wallets.ReceivableChanged(
            receivable_id=debt.id,
            player=debt.player,
            asset=debt.asset,
            amount=self._wire(debt.asset, event.amount),
            open=self._wire(debt.asset, debt.open),
            campaign=debt.campaign,
            reference=debt.reference,
        )
        return self._outbox.event(
            _OWED[event.what],
            data,
            subject=str(debt.id),
            version=debt.version,
            correlation_id=debt.correlation_id,
        )

    def _payout_asked(self, event: PayoutAsked) -> EncodedEvent:
        payout = event.payout
        data = wire.PayoutRequested(
            payout_id=payout.id,
            player=payout.player,
            reward_ids=list(event.reward_ids),
            method_id=payout.method_id,
            method_version=payout.method_version,
            intent=_intent_of(payout),
            intent_signature=payout.intent_signature,
            filed_by=payout.filed_by,
            parties=[
                MoneyParty(role=PartyRole(role), subject=subject) for role, subject in payout.behind.parties
            ],
            one_person=list(payout.behind.one_person),
        )
        return self._outbox.event(
            wire.PayoutRequestedEvent,
            data,
            subject=str(payout.id),
            version=payout.version,
            correlation_id=payout.correlation_id,
            causation_id=event.cause,
        )

    def _cancel_asked(self, event: PayoutCancelAsked) -> EncodedEvent:
        payout = event.payout
        return self._outbox.event(
            wire.PayoutCancelRequestedEvent,
            wire.PayoutCancelRequested(
                payout_id=payout.id, by=event.by, code=event.code, reason=event.reason
            ),
            subject=str(payout.id),
            version=payout.version,
            correlation_id=payout.correlation_id,
            causation_id=event.cause,
        )

    def _intent_renewed(self, event: IntentRenewed) -> EncodedEvent:
        payout = event.payout
        return self._outbox.event(
            wire.PayoutIntentRenewedEvent,
            wire.PayoutIntentRenewed(
                payout_id=payout.id, intent=_intent_of(payout), intent_signature=payout.intent_signature
            ),
            subject=str(payout.id),
            version=payout.version,
            correlation_id=payout.correlation_id,
            causation_id=event.cause,
        )

    def _campaign_changed(self, event: CampaignChanged) -> EncodedEvent:
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
        return self._of_campaign(model, data, campaign.id, campaign.version, event.cause)

    def _campaign_funded(self, event: CampaignFunded) -> EncodedEvent:
        campaign = event.campaign
        data = wire.CampaignFunded(
            campaign=campaign.id,
            asset=campaign.asset,
            amount=self._wire(campaign.asset, event.amount),
            funded_total=self._wire(campaign.asset, campaign.funded),
            actor=event.actor,
        )
        return self._of_campaign(wire.CampaignFundedEvent, data, campaign.id, campaign.version, None)

    def _campaign_withdrawn(self, event: CampaignWithdrawn) -> EncodedEvent:
        campaign = event.campaign
        data = wire.CampaignWithdrawn(
            campaign=campaign.id,
            asset=campaign.asset,
            amount=self._wire(campaign.asset, event.amount),
            withdrawn_total=self._wire(campaign.asset, campaign.withdrawn),
            actor=event.actor,
        )
        return self._of_campaign(wire.CampaignWithdrawnEvent, data, campaign.id, campaign.version, None)

    def _pool(
        self, model: type[wire.PoolExhaustedEvent] | type[wire.PoolLowEvent], event: PoolExhausted | PoolLow
    ) -> EncodedEvent:
        campaign = event.campaign
        data = wire.PoolLevel(
            campaign=campaign.id,
            asset=campaign.asset,
            available=self._wire(campaign.asset, campaign.available),
        )
        return self._of_campaign(model, data, campaign.id, campaign.version, event.cause)

    def _of_campaign(
        self,
        model: type[Envelope],
        data: wire.CampaignChanged | wire.CampaignFunded | wire.CampaignWithdrawn | wire.PoolLevel,
        campaign: UUID,
        version: int,
        cause: str | None,
    ) -> EncodedEvent:
        """Events of a campaign have its own id as correlation id, so that they keep their order in Kafka."""
        return self._outbox.event(
            model,
            data,
            subject=str(campaign),
            version=version,
            correlation_id=str(campaign),
            causation_id=cause,
        )


_CLAIM_EVENTS: Final[Mapping[ClaimState, type[Envelope]]] = {
    ClaimState.OPEN: wallets.ClaimOpenedEvent,
    ClaimState.HELD: wallets.ClaimHeldEvent,
    ClaimState.APPROVED: wallets.ClaimApprovedEvent,
    ClaimState.REJECTED: wallets.ClaimRejectedEvent,
    ClaimState.EXPIRED: wallets.ClaimExpiredEvent,
}


def _intent_of(payout: Payout) -> Intent:
    document = dict(payout.intent)
    document["allowed"] = tuple(AllowedDestination(**one) for one in document["allowed"])
    return Intent(**document)
