"""Encoders of events about refused and disowned rounds."""

from typing import Final

from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events import rewards as wire
from prizewire_contracts.text import printable
from prizewire_rewards.ledger.messages import Encoders, EventWriter
from prizewire_rewards.rounds.domain.commands import RoundDisowned, RoundRefused


def _refused(event: RoundRefused, writer: EventWriter) -> EncodedEvent:
    refused = event.refused
    head = refused.settlement
    data = wire.RoundRefused(
        round_id=head.round_id,
        settlement_version=head.settlement_version,
        part=refused.part,
        code=wire.RoundRefusal(refused.code),
        detail=printable(refused.detail),
    )
    return writer.outbox.event(
        wire.RoundRefusedEvent,
        data,
        subject=str(head.round_id),
        version=refused.version,
        correlation_id=head.correlation_id,
        causation_id=refused.cause,
    )


def _disowned(event: RoundDisowned, writer: EventWriter) -> EncodedEvent:
    disownment = event.disownment
    data = wire.RoundDisowned(
        round_id=disownment.round_id,
        disownment_id=disownment.id,
        reason=printable(disownment.reason),
    )
    return writer.outbox.event(
        wire.RoundDisownedEvent,
        data,
        subject=str(disownment.id),
        version=1,
        correlation_id=event.correlation_id,
        causation_id=None,
    )


ENCODERS: Final[Encoders] = {RoundRefused: _refused, RoundDisowned: _disowned}
