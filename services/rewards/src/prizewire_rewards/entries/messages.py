"""Events about entries as contracts."""

from collections.abc import Mapping
from typing import Final

from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events import wallets as wire
from prizewire_rewards.entries.domain import EntryChanged, EntryState
from prizewire_rewards.ledger.messages import Encoders, EventWriter

_ENTRY_EVENTS: Final[Mapping[EntryState, type[wire.FromRewards]]] = {
    EntryState.PAID: wire.EntryPaidEvent,
    EntryState.REFUSED: wire.EntryRefusedEvent,
    EntryState.REFUNDED: wire.EntryRefundedEvent,
    EntryState.EARNED: wire.EntryEarnedEvent,
    EntryState.CLOSED: wire.EntryClosedEvent,
}


def _entry_event(event: EntryChanged, writer: EventWriter) -> EncodedEvent:
    """An event about an entry. Its subject is the entry's id."""
    entry = event.entry
    data = wire.EntryChanged(
        entry_id=entry.id,
        round_id=entry.round_id,
        match_id=entry.match_id,
        match_source=entry.match_source,
        player=entry.player,
        asset=entry.asset,
        amount=writer.amount(entry.asset, entry.amount),
        from_winnings=writer.amount(entry.asset, entry.from_winnings),
        from_topup=writer.amount(entry.asset, entry.from_topup),
        state=entry.state.value,
        code=entry.code,
    )
    return writer.outbox.event(
        _ENTRY_EVENTS[entry.state],
        data,
        subject=str(entry.id),
        version=entry.version,
        correlation_id=entry.correlation_id,
        causation_id=event.cause,
    )


ENCODERS: Final[Encoders] = {EntryChanged: _entry_event}
