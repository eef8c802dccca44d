"""``prizewire.provider-webhooks.v1``: verified webhooks of rails, as hints to look. Produced by webhooks.

Subject: ``<provider>/<event id>``.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from prizewire_contracts.envelope import Data, Digest, ServiceEnvelope

__all__ = ["ProviderEventReceived", "ProviderEventReceivedEvent", "ProviderWebhookEvent"]


class ProviderEventReceived(Data):
    """A provider said something. The body stays in webhooks; whoever cares asks the rail."""

    provider: str
    event_id: str
    event_type: str
    provider_key: str | None = None
    provider_ref: str | None = None
    body_sha256: Digest


class ProviderEventReceivedEvent(ServiceEnvelope):
    """Envelope of ``provider.event_received``."""

    signed: ClassVar[bool] = True
    producer: ClassVar[str | None] = "webhooks"
    type: Literal["prizewire.provider.event_received.v1"] = "prizewire.provider.event_received.v1"
    data: ProviderEventReceived


ProviderWebhookEvent = Annotated[ProviderEventReceivedEvent, Field()]
