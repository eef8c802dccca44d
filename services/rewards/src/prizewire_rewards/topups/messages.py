"""Events about top-ups as contracts."""

from typing import Final

from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events import wallets as wire
from prizewire_rewards.ledger.messages import Encoders, EventWriter
from prizewire_rewards.topups.domain import TopupChanged


def _topup_event(event: TopupChanged, writer: EventWriter) -> EncodedEvent:
    """An event about a top-up. Its subject is the top-up's id."""
    topup = event.topup
    data = wire.TopupBooked(
        topup_id=topup.id,
        player=topup.player,
        asset=topup.asset,
        amount=writer.amount(topup.asset, event.amount),
        owed=writer.amount(topup.asset, event.owed) if event.owed else None,
        reference=event.reference,
    )
    return writer.outbox.event(
        wire.TopupReversedEvent if event.reversed else wire.TopupCreditedEvent,
        data,
        subject=str(topup.id),
        version=topup.version,
        correlation_id=topup.correlation_id,
        causation_id=event.cause,
    )


ENCODERS: Final[Encoders] = {TopupChanged: _topup_event}
