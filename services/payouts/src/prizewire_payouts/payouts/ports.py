"""What the use cases of payouts need, as Protocols."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_money import Amount
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Payout


class Payouts(Protocol):
    """Payouts and attempts within one transaction. Rows are locked in the order of their ids; each comes as a `Change`,
    which ``save`` writes if something was changed.
    """

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Change]:
        """These payouts, locked, with their attempts; unknown ids are left out."""
        ...

    async def lock_one(self, payout_id: UUID) -> Change:
        """One payout, locked, with its attempts.

        Raises:
            PayoutNotFound: there is none.
        """
        ...

    async def lock_approved(self, *, rail: str, now: datetime, limit: int) -> list[Change]:
        """Approved payouts of this rail that are due and not paused; rows that others have locked are skipped."""
        ...

    async def lock_watched(self, *, rail: str, now: datetime, limit: int) -> list[Change]:
        """Payouts whose look-up at this rail is due: their outcome is open, or they are paid and
        may come back. Rows that others have locked are skipped.
        """
        ...

    async def lock_expired(self, *, now: datetime, limit: int) -> list[Change]:
        """Approved and held payouts whose intent has expired, and for which no renewal was requested."""
        ...

    async def lock_unrouted(self, *, rails: Sequence[str], limit: int) -> list[Change]:
        """Approved payouts whose rail is none of these."""
        ...

    def add(self, payout: Payout) -> Change:
        """A new payout; ``save`` inserts it."""
        ...

    async def look_up_now(
        self, *, keys: Sequence[UUID], references: Sequence[tuple[str, str]], now: datetime
    ) -> int:
        """Make payouts due that have an attempt with one of these provider keys, or (rail, provider's reference), and whose
        outcome is open or may change; returns how many.
        """
        ...

    async def save(self) -> None:
        """Store all payouts and attempts that were changed, their transitions and their events: a fixed number of
        statements for any number of payouts.
        """
        ...


class Admission(Protocol):
    """Decides, within one transaction, whether a new payout is approved at once or held."""

    async def prepare(self, amounts: Iterable[Amount], *, now: datetime) -> None:
        """Lock what the decisions over these amounts count against."""
        ...

    def decide(self, *, change: Change, cause: str, now: datetime) -> None:
        """Approve or hold a new payout, whose amount was given to ``prepare``."""
        ...

    async def save(self) -> None:
        """Store what the decisions have counted on the day of ``prepare``."""
        ...


class IntentCheck(Protocol):
    """Whether rewards signed for a payout as it is stored."""

    def __call__(self, payout: Payout, method: Method | None) -> bool:
        """Whether the intent is signed, and names this payout, payee, amount, destination and expiry."""
        ...
