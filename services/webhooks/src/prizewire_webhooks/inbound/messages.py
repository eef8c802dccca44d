"""Between events and contracts: the public body of what came in, and what is told to others."""

from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events.provider_webhooks import ProviderEventReceived, ProviderEventReceivedEvent
from prizewire_contracts.ids import derive
from prizewire_webhooks.inbound.domain import ProviderSpoke


def provider_event(spoke: ProviderSpoke, *, outbox: Outbox) -> EncodedEvent:
    """``provider.event_received``, the first and only event of its subject. What the provider calls by its own key
    is not known here, so the correlation id is derived from the provider's event.
    """
    return outbox.event(
        ProviderEventReceivedEvent,
        ProviderEventReceived(
            provider=spoke.provider,
            event_id=spoke.event_id,
            event_type=spoke.event_type,
            provider_key=None if spoke.provider_key is None else str(spoke.provider_key),
            provider_ref=spoke.provider_ref,
            body_sha256=spoke.body_hash.hex(),
        ),
        subject=f"{spoke.provider}/{spoke.event_id}",
        version=1,
        correlation_id=str(derive("provider_event", spoke.provider, spoke.event_id)),
    )
