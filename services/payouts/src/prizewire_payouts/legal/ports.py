"""What the use cases of legal approvals need."""

from typing import Protocol
from uuid import UUID

from prizewire_payouts.legal.domain import LegalApproval


class LegalApprovals(Protocol):
    """Legal approvals, within one transaction."""

    async def all(self) -> list[LegalApproval]:
        """Every legal approval, newest first."""
        ...

    async def lock(self, approval_id: UUID) -> LegalApproval:
        """One legal approval, locked.

        Raises:
            LegalRefused: ``legal_approval_not_found``.
        """
        ...

    async def add(self, approval: LegalApproval) -> None:
        """Store a new legal approval."""
        ...

    async def save(self, approval: LegalApproval) -> None:
        """Store the state of a legal approval, and wake the rails' workers."""
        ...
