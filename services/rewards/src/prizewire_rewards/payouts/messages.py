"""Encoders of events about payouts."""

from typing import Final

from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events import rewards as wire
from prizewire_contracts.events.parties import MoneyParty
from prizewire_contracts.parties import PartyRole
from prizewire_contracts.text import printable
from prizewire_rewards.ledger.messages import Encoders, EventWriter
from prizewire_rewards.payouts.domain.model import (
    IntentRenewed,
    PayoutCancelRequested,
    PayoutRequested,
    PayoutRetryRefused,
)
from prizewire_rewards.payouts.handlers.requests import intent_of
from prizewire_rewards.payouts.handlers.terms import quote_of


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
            MoneyParty(role=PartyRole(role), subject=subject)
            for role, subject in (
                *payout.credited_by.parties,
                *((PartyRole.ASSIGNER, one) for one in payout.assigners),
            )
        ],
        one_person=list(payout.credited_by.one_person),
        retry_of=payout.retry_of,
        batch=None
        if payout.batch is None or event.batch_lines is None
        else wire.BatchLine(batch_id=payout.batch.id, line=payout.batch.line, lines=event.batch_lines),
        sealed_details=None
        if event.sealed is None
        else wire.SealedDetails(key_id=event.sealed.key_id, box=event.sealed.box),
        quote=None if payout.quote is None else quote_of(payout.quote),
        quote_signature=None if payout.quote is None else payout.quote["signature"],
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


def _retry_refused(event: PayoutRetryRefused, writer: EventWriter) -> EncodedEvent:
    payout = event.payout
    return writer.outbox.event(
        wire.PayoutRetryRefusedEvent,
        wire.PayoutRetryRefused(
            payout_id=payout.id, retry_no=event.retry_no, code=event.code, detail=printable(event.detail)
        ),
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
    PayoutRetryRefused: _retry_refused,
}
