"""The stored webhook of a provider as a contract event."""

from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events.provider_webhooks import ProviderEventReceived, ProviderEventReceivedEvent
from prizewire_contracts.ids import derive
from prizewire_webhooks.inbound.domain import ProviderEventStored


def provider_event(stored: ProviderEventStored, *, outbox: Outbox) -> EncodedEvent:
    """``provider.event_received``, the first and only event of its subject. What the provider calls by its own key
    is not known here, so the correlation id is derived from the provider's event.
    """
    return outbox.event(
        ProviderEventReceivedEvent,
        ProviderEventReceived(
            provider=stored.provider,
            event_id=stored.event_id,
            event_type=stored.event_type,
            provider_key=None if stored.provider_key is None else str(stored.provider_key),
            provider_ref=stored.provider_ref,
            body_sha256=stored.body_hash.hex(),
        ),
        subject=f"{stored.provider}/{stored.event_id}",
        version=1,
        correlation_id=str(derive("provider_event", stored.provider, stored.event_id)),
    )
