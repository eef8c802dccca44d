"""Encoders of events about payouts."""

from typing import Final

from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events import rewards as wire
from prizewire_contracts.events.parties import MoneyParty
from prizewire_contracts.parties import PartyRole
from prizewire_rewards.ledger.messages import Encoders, EventWriter
from prizewire_rewards.payouts.domain.model import (
    IntentRenewed,
    PayoutCancelRequested,
    PayoutRequested,
)
from prizewire_rewards.payouts.handlers.requests import intent_of


def _payout_requested(event: PayoutRequested, writer: EventWriter) -> EncodedEvent:
    payout = event.payout
    data = wire.PayoutRequested(
        payout_id=payout.id,
        player=payout.player,
        reward_ids=list(event.reward_ids),
        method_id=payout.method_id,
        method_version=payout.method_version,
        intent=intent_of(payout),
        intent_signature=payout.intent_signature,
        filed_by=payout.filed_by,
        parties=[
            MoneyParty(role=PartyRole(role), subject=subject) for role, subject in payout.credited_by.parties
        ],
        one_person=list(payout.credited_by.one_person),
    )
    return writer.outbox.event(
        wire.PayoutRequestedEvent,
        data,
        subject=str(payout.id),
        version=payout.version,
        correlation_id=payout.correlation_id,
        causation_id=event.cause,
    )


def _cancel_requested(event: PayoutCancelRequested, writer: EventWriter) -> EncodedEvent:
    payout = event.payout
    return writer.outbox.event(
        wire.PayoutCancelRequestedEvent,
        wire.PayoutCancelRequested(payout_id=payout.id, by=event.by, code=event.code, reason=event.reason),
        subject=str(payout.id),
        version=payout.version,
        correlation_id=payout.correlation_id,
        causation_id=event.cause,
    )


def _intent_renewed(event: IntentRenewed, writer: EventWriter) -> EncodedEvent:
    payout = event.payout
    return writer.outbox.event(
        wire.PayoutIntentRenewedEvent,
        wire.PayoutIntentRenewed(
            payout_id=payout.id, intent=intent_of(payout), intent_signature=payout.intent_signature
        ),
        subject=str(payout.id),
        version=payout.version,
        correlation_id=payout.correlation_id,
        causation_id=event.cause,
    )


ENCODERS: Final[Encoders] = {
    PayoutRequested: _payout_requested,
    PayoutCancelRequested: _cancel_requested,
    IntentRenewed: _intent_renewed,
}
