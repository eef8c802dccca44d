"""Entries and top-ups as contracts: the ``entry.*`` and ``wallet.topup_*`` events."""

from collections.abc import Callable, Mapping
from typing import Final

from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events import wallets as wire
from prizewire_rewards.domain.entries import EntryState
from prizewire_rewards.domain.events import EntryMoved, TopupMoved

Wire = Callable[[str, int], str]
"""The decimal text of an asset's minor units."""

_ENTRY_EVENTS: Final[Mapping[EntryState, type[wire.FromRewards]]] = {
    EntryState.PAID: wire.EntryPaidEvent,
    EntryState.REFUSED: wire.EntryRefusedEvent,
    EntryState.REFUNDED: wire.EntryRefundedEvent,
    EntryState.EARNED: wire.EntryEarnedEvent,
    EntryState.CLOSED: wire.EntryClosedEvent,
}


def entry_event(event: EntryMoved, *, outbox: Outbox, amount: Wire) -> EncodedEvent:
    """Where an entry stands; its subject is the entry's id."""
    entry = event.entry
    data = wire.EntryChanged(
        entry_id=entry.id,
        round_id=entry.round_id,
        match_id=entry.match_id,
        match_source=entry.match_source,
        player=entry.player,
        asset=entry.asset,
        amount=amount(entry.asset, entry.amount),
        from_winnings=amount(entry.asset, entry.from_winnings),
        from_topup=amount(entry.asset, entry.from_topup),
        state=entry.state.value,
        code=entry.code,
    )
    return outbox.event(
        _ENTRY_EVENTS[entry.state],
        data,
        subject=str(entry.id),
        version=entry.version,
        correlation_id=entry.correlation_id,
        causation_id=event.cause,
    )


def topup_event(event: TopupMoved, *, outbox: Outbox, amount: Wire) -> EncodedEvent:
    """What a top-up brought or lost; its subject is the top-up's id."""
    topup = event.topup
    data = wire.TopupBooked(
        topup_id=topup.id,
        player=topup.player,
        asset=topup.asset,
        amount=amount(topup.asset, event.amount),
        owed=amount(topup.asset, event.owed) if event.owed else None,
        reference=event.reference,
    )
    return outbox.event(
        wire.TopupReversedEvent if event.reversed else wire.TopupCreditedEvent,
        data,
        subject=str(topup.id),
        version=topup.version,
        correlation_id=topup.correlation_id,
        causation_id=event.cause,
    )
