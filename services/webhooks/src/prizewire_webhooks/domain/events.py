"""What happened here that other services hear of."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpoke:
    """A rail's provider sent a webhook that is new to us: a hint to ask the rail, nothing more."""

    provider: str
    event_id: str
    event_type: str
    provider_key: UUID | None
    provider_ref: str | None
    body_hash: bytes
