"""``prizewire.provider-webhooks.v1``: verified webhooks of rails, as hints to look. Produced by webhooks.

Subject: ``<provider>/<event id>``.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from prizewire_contracts.envelope import Data, Digest, ServiceEnvelope
from prizewire_contracts.text import EventLine


class ProviderEventReceived(Data):
    """A provider reported a change. ``provider`` is the rail's name in the configuration, so that two accounts of one vendor
    differ. Only the hash of the body is kept; the payment is looked up at the rail.
    """

    provider: EventLine
    event_id: EventLine
    event_type: EventLine
    provider_key: EventLine | None = None
    provider_ref: EventLine | None = None
    body_sha256: Digest


class ProviderEventReceivedEvent(ServiceEnvelope):
    """Envelope of ``provider.event_received``."""

    signed: ClassVar[bool] = True
    producer: ClassVar[str | None] = "webhooks"
    type: Literal["prizewire.provider.event_received.v1"] = "prizewire.provider.event_received.v1"
    data: ProviderEventReceived


ProviderWebhookEvent = Annotated[ProviderEventReceivedEvent, Field()]
