"""What the use cases of gates need."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_payouts.gates.domain import Facts, Finding, GateCode, GateLimits
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.screening.domain import Screening

Passed = Collection[tuple[GateCode, str]]
"""(gate, fact) of the findings that persons have approved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A payout whose next attempt begins: the findings that had been approved, the answer of the screening service, and when it had to
    be given at the earliest; both None where no service is asked.
    """

    payout: Payout
    passed: Passed
    screening: Screening | None
    screened_after: datetime | None


class GateRows(Protocol):
    """Facts about payouts, and what gates found, within one transaction."""

    async def facts(self, payouts: Sequence[Payout], *, limits: GateLimits) -> Mapping[UUID, Facts]:
        """What the gates of these limits ask about each payout."""
        ...

    async def passed(self, payouts: Sequence[Payout]) -> Mapping[UUID, Passed]:
        """The findings of each payout whose hold has the approvals that it needs; none are left out."""
        ...

    async def add_findings(self, found: Sequence[tuple[Payout, Sequence[Finding]]], *, now: datetime) -> None:
        """Store the findings of the present hold of each payout. The payouts are saved before."""
        ...

    async def add_judgements(self, sent: Sequence[Sent], *, now: datetime) -> None:
        """Store that the gates were judged before the present attempt of each payout. The attempts are saved before."""
        ...


class Destinations(Protocol):
    """Marks the accounts that payouts lead to."""

    def mark(self, *, payout: Payout, method: Method | None) -> bytes | None:
        """The keyed mark of the account: of its payout method, or of its address where it has none. None where it is not known."""
        ...


class DenyList(Protocol):
    """The destinations that nobody is paid to without persons who approve it."""

    @property
    def active(self) -> bool:
        """Whether it lists any destination, or may come to."""
        ...

    def denies(self, *, payout: Payout, method: Method | None) -> bool:
        """Whether the destination of this payout is listed. ``method`` is its payout method; None for an operator's."""
        ...
