"""What the use cases of providers' webhooks need from outside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from prizewire_contracts.rails import ProviderEvent
from prizewire_webhooks.inbound.domain import ProviderCall


class ProviderStore(Protocol):
    """What providers said."""

    async def record(self, call: ProviderCall, *, now: datetime) -> bytes | None:
        """Store a provider's event once. Answers None when it is new, else the hash of the body it first came with."""
        ...

    async def record_conflict(self, call: ProviderCall, *, now: datetime) -> bool:
        """Store that an id came with another body; False when this very body was on record already."""
        ...


class Inbound(Protocol):
    """A rail's side of webhooks: its verifier and its secrets."""

    def verify(self, *, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent:
        """The verified event.

        Raises:
            WebhookRefused: see the contract.
        """
        ...
