"""What a transaction leaves behind for others: its steps and its events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from prizewire_rewards.domain.events import Event
from prizewire_rewards.domain.model import Transition


class History(Protocol):
    """Every step of every state machine."""

    async def add(self, transitions: Sequence[Transition], *, now: datetime) -> None:
        """Append steps."""
        ...


class Messages(Protocol):
    """Events on their way out, committed with the rest."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Put events into the outbox, in this order."""
        ...
