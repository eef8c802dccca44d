"""What the use cases of approval need."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Protocol

from prizewire_money import Amount, Asset
from prizewire_payouts.approval.domain import Pause
from prizewire_payouts.payouts.domain.model import Payout


class Approvals(Protocol):
    """Approvals, and what was approved by policy on a day, within one transaction."""

    async def approvers(self, payout: Payout) -> list[str]:
        """The approvers under the present hold, in order."""
        ...

    async def add(self, *, payout: Payout, approver: str, note: str | None, now: datetime) -> None:
        """Store one approval of the present hold."""
        ...

    async def lock_automatic_use(self, *, day: date, assets: Iterable[Asset]) -> dict[str, Amount]:
        """By asset code, what was approved without a person on this day (UTC). No other transaction approves in these
        assets without a person until this one ends.
        """
        ...

    async def add_automatic_use(self, *, day: date, taken: Mapping[str, Amount]) -> None:
        """Count what this transaction approves without a person; the assets are locked."""
        ...


class Pauses(Protocol):
    """Pauses, within one transaction."""

    async def in_force(self) -> list[Pause]:
        """Pauses in force, newest first."""
        ...

    async def add(self, pause: Pause) -> None:
        """Store a new pause."""
        ...

    async def lift(self, pause: Pause) -> None:
        """Store that a pause was lifted, and wake the rails' workers."""
        ...
