"""The published events of payout methods."""

from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.events import payouts as contract
from prizewire_payouts.methods.domain import Method

_EVENTS: dict[str, type[Envelope]] = {
    "registered": contract.MethodRegisteredEvent,
    "verified": contract.MethodVerifiedEvent,
    "defaulted": contract.MethodDefaultedEvent,
    "routed": contract.MethodRoutedEvent,
    "removed": contract.MethodRemovedEvent,
}


def method_event(method: Method, *, change: str, correlation_id: str, outbox: Outbox) -> EncodedEvent:
    """The event of a change of a method; it carries the whole method as it is after the change."""
    data = contract.MethodChanged(
        method_id=method.method_id,
        version=method.version,
        player=method.owner,
        type=method.type,
        rail_types=list(method.rail_types),
        state="active" if method.state == "active" else "removed",
        verified=method.verified,
        is_default=method.is_default,
        registered_by="staff" if method.by_staff else "player",
        address=method.address,
        memo=method.memo,
        commitment=method.commitment,
    )
    return outbox.event(
        _EVENTS[change],
        data,
        subject=str(method.method_id),
        version=method.version,
        correlation_id=correlation_id,
    )
