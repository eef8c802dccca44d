"""Webhooks of providers."""

from dataclasses import dataclass, field
from uuid import UUID


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEventStored:
    """A rail's provider sent a webhook that is new to us: a hint to ask the rail, nothing more."""

    provider: str
    event_id: str
    event_type: str
    provider_key: UUID | None
    provider_ref: str | None
    body_hash: bytes
