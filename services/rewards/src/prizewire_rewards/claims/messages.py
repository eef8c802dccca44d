"""Encoders of events about claims."""

from collections.abc import Mapping
from typing import Final

from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.events import wallets
from prizewire_rewards.claims.domain import CLAIM_LIVE, ClaimMoved, ClaimState
from prizewire_rewards.ledger.messages import Encoders, EventWriter

_CLAIM_EVENTS: Final[Mapping[ClaimState, type[Envelope]]] = {
    ClaimState.OPEN: wallets.ClaimOpenedEvent,
    ClaimState.HELD: wallets.ClaimHeldEvent,
    ClaimState.APPROVED: wallets.ClaimApprovedEvent,
    ClaimState.REJECTED: wallets.ClaimRejectedEvent,
    ClaimState.EXPIRED: wallets.ClaimExpiredEvent,
}


def _claim(event: ClaimMoved, writer: EventWriter) -> EncodedEvent:
    claim = event.claim
    data = wallets.ClaimChanged(
        reward_id=claim.reward_id,
        round_id=claim.round_id,
        campaign=claim.campaign,
        player=claim.player,
        asset=claim.asset,
        amount=writer.amount(claim.asset, claim.amount),
        state=claim.state.value,
        code=event.code,
        deadline=claim.deadline if claim.state in CLAIM_LIVE else None,
        actor=event.actor,
    )
    return writer.outbox.event(
        _CLAIM_EVENTS[claim.state],
        data,
        subject=str(claim.reward_id),
        version=claim.version,
        correlation_id=claim.correlation_id,
        causation_id=event.cause,
    )


ENCODERS: Final[Encoders] = {ClaimMoved: _claim}
