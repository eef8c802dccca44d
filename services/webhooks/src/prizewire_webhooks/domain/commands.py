"""What others ask of this service."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSubscription:
    """Tell ``url`` of every event of these types from now on. Types are full or short names."""

    owner: str
    url: str
    event_types: tuple[str, ...]
    description: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSubscription:
    """End a subscription."""

    subscription_id: UUID
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCall:
    """A provider's webhook, verified. ``body_hash`` is the SHA-256 of the raw body."""

    rail: str
    provider: str
    event_id: str
    event_type: str
    provider_key: UUID | None
    provider_ref: str | None
    body_hash: bytes = field(repr=False)
