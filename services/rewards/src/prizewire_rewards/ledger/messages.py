"""Encoders of domain events as contracts, and those of events about receivables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events import wallets
from prizewire_money import Amount, AssetRegistry
from prizewire_rewards.ledger.domain.receivables import OwedStep, ReceivableChanged
from prizewire_rewards.ledger.domain.records import Event


@dataclass(frozen=True, slots=True)
class EventWriter:
    """The outbox and the assets, as encoders need them."""

    outbox: Outbox
    assets: AssetRegistry

    def amount(self, asset: str, minor: int) -> str:
        """The decimal text of an asset's minor units."""
        return Amount(self.assets[asset], minor).to_wire()


Encoder = Callable[[Any, EventWriter], EncodedEvent]
"""Encodes an event of one type."""
Encoders = Mapping[type[Event], Encoder]
"""The encoders of a feature by the types of its events."""

_OWED: Final[Mapping[OwedStep, type[wallets.FromRewards]]] = {
    OwedStep.OPENED: wallets.ReceivableOpenedEvent,
    OwedStep.RECOVERED: wallets.ReceivableRecoveredEvent,
    OwedStep.WRITTEN_OFF: wallets.ReceivableWrittenOffEvent,
    OwedStep.RESTORED: wallets.ReceivableRestoredEvent,
}


def _receivable(event: ReceivableChanged, writer: EventWriter) -> EncodedEvent:
    debt = event.receivable
    data = wallets.ReceivableChanged(
        receivable_id=debt.id,
        player=debt.player,
        asset=debt.asset,
        amount=writer.amount(debt.asset, event.amount),
        open=writer.amount(debt.asset, debt.open),
        campaign=debt.campaign,
        reference=debt.reference,
    )
    return writer.outbox.event(
        _OWED[event.what],
        data,
        subject=str(debt.id),
        version=debt.version,
        correlation_id=debt.correlation_id,
    )


ENCODERS: Final[Encoders] = {ReceivableChanged: _receivable}
