"""What the use cases of payouts need, as Protocols."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_payouts.methods.domain import Method
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.retries import Retry
from prizewire_payouts.rails.ports import Rail


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

    async def retries(self, payout_id: UUID) -> list[Retry]:
        """The requests to retry a payout, in their order."""
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

    async def prepare(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Lock what the decisions over these payouts count against, and load what they depend on."""
        ...

    def decide(self, *, change: Change, cause: str, now: datetime) -> None:
        """Approve or hold a new payout, which was given to ``prepare``."""
        ...

    async def save(self, *, now: datetime) -> None:
        """Store what the decisions have counted on the day of ``prepare``, and found. The payouts are saved before."""
        ...


class Clearance(Protocol):
    """Decides, within one transaction, whether an approved payout may still be sent."""

    async def prepare(self, payouts: Sequence[Payout]) -> None:
        """Load what the decisions over these payouts depend on."""
        ...

    def may_be_sent(self, *, change: Change, cause: str, now: datetime) -> bool:
        """Whether its next attempt may begin, over the rail that it is routed to. Else the payout is held, or waits."""
        ...

    def begun(self, *, payout: Payout, now: datetime) -> None:
        """The next attempt of this payout was begun; ``payout.attempts`` is its number."""
        ...

    async def save(self, *, now: datetime) -> None:
        """Store what was decided. Payouts and attempts are saved before."""
        ...


class RailPermission(Protocol):
    """Whether a rail may pay at all, within one transaction."""

    async def may_pay(self, rail: Rail, *, now: datetime) -> bool:
        """Whether the rail needs no legal approval, or has one that is in force."""
        ...


class IntentCheck(Protocol):
    """Whether rewards signed for a payout as it is stored."""

    def __call__(self, payout: Payout, method: Method | None) -> bool:
        """Whether the intent is signed, and names this payout, payee, amount, destination and expiry."""
        ...
