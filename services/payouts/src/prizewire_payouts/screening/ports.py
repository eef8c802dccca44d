"""What the use cases of screening need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from prizewire_money import Amount
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.screening.domain import Screening


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscreened:
    """A payout without a recent answer. ``asked`` is how often the service was asked about it, ``in_vain`` whether it did not answer
    the last time. ``person`` is the one who is paid.
    """

    payout_id: UUID
    person: str | None
    method_id: UUID | None
    method_type: str
    address: str | None
    memo: str | None
    amount: Amount
    asked: int
    in_vain: bool


class Screenings(Protocol):
    """Answers of the screening service, within one transaction."""

    async def due(
        self, *, answered_before: datetime, asked_before: datetime, limit: int
    ) -> Sequence[Unscreened]:
        """Payouts to ask about, approved ones first: those that are approved, and were not answered since ``answered_before``, and
        those that are held and were never answered. Those that were asked about since ``asked_before`` are left out.
        """
        ...

    async def latest(self, payout_ids: Sequence[UUID]) -> Mapping[UUID, Screening]:
        """The latest answer about each payout, without those that are unanswered."""
        ...

    async def add(self, screenings: Sequence[Screening]) -> None:
        """Store answers."""
        ...


class Opener(Protocol):
    """Opens the details of payout methods."""

    def __call__(self, method: Method) -> Mapping[str, Any]:
        """The details in clear.

        Raises:
            MethodUnreadable: they cannot be opened.
        """
        ...
