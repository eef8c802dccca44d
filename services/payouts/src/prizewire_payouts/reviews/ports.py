"""What the use cases of reviews need."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_contracts.rails import ProviderResult
from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.reviews.domain import Evidence, EvidenceState, Finding


class EvidenceStore(Protocol):
    """Evidence within one transaction. The payouts are locked before."""

    async def of(self, payout_ids: Collection[UUID]) -> dict[UUID, tuple[Evidence, ...]]:
        """All evidence of these payouts, oldest first."""
        ...

    async def file(self, evidence: Evidence) -> None:
        """Store new evidence."""
        ...

    async def decide(
        self, evidence_id: UUID, *, state: EvidenceState, by: str, note: str | None, now: datetime
    ) -> None:
        """Store how a second person decided."""
        ...


class ReviewSource(Protocol):
    """A rail whose outcomes persons may prove, within one transaction of payouts."""

    @property
    def rail(self) -> Rail:
        """The configured rail."""
        ...

    @property
    def by_hand(self) -> bool:
        """Whether people make its payments."""
        ...

    async def claimed(self, payout_id: UUID) -> bool:
        """Whether a person has claimed this payment."""
        ...

    async def settle(
        self,
        *,
        payout: Payout,
        attempt: Attempt,
        finding: Finding,
        reference: str,
        persons: tuple[str, str],
        now: datetime,
    ) -> ProviderResult:
        """The outcome that evidence of two persons proves. Where the rail stores another one, it returns that."""
        ...


class ReviewSources(Protocol):
    """The rails whose outcomes persons may prove."""

    def of(self, rail: str) -> ReviewSource | None:
        """The source of a configured rail; None for a rail whose ledger alone proves outcomes, or that is not configured."""
        ...
