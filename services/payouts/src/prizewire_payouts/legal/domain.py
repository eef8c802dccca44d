"""A legal approval of a rail: filed by one person, confirmed by another, in force until it ends."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from prizewire_payouts.errors import CodedError


class LegalRefused(CodedError):
    """A legal approval cannot be filed, confirmed or ended. ``code`` says why."""


class LegalScope(StrEnum):
    """What a legal approval is for."""

    RAIL = "rail"
    RAIL_TYPE = "rail_type"


class LegalState(StrEnum):
    """Where a legal approval stands. One that was confirmed is in force until ``ends_at``."""

    FILED = "filed"
    CONFIRMED = "confirmed"
    ENDED = "ended"


LEGAL_EDGES: dict[tuple[LegalState, LegalState], str] = {
    (LegalState.FILED, LegalState.CONFIRMED): "another person than its filer confirms it before it ends",
    (LegalState.FILED, LegalState.ENDED): "a person takes it back",
    (LegalState.CONFIRMED, LegalState.ENDED): "a person ends it early",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalApproval:
    """A decision of the lawyers, as two persons recorded it. ``reference`` names the document, ``jurisdictions`` are countries or
    regions in which it holds.
    """

    approval_id: UUID
    scope: LegalScope
    value: str
    reference: str
    jurisdictions: tuple[str, ...]
    ends_at: datetime
    state: LegalState
    filed_by: str
    filed_at: datetime
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None
    ended_by: str | None = None
    ended_at: datetime | None = None

    def in_force(self, *, now: datetime) -> bool:
        """Whether payments may be made under it."""
        return self.state is LegalState.CONFIRMED and now < self.ends_at

    def covers(self, *, rail: str, rail_type: str) -> bool:
        """Whether it is for this rail."""
        return self.value == (rail if self.scope is LegalScope.RAIL else rail_type)


def file_approval(
    *,
    approval_id: UUID,
    scope: LegalScope,
    value: str,
    known: Iterable[str],
    reference: str,
    jurisdictions: Iterable[str],
    ends_at: datetime,
    by: str,
    now: datetime,
) -> LegalApproval:
    """A new legal approval. ``known`` are the configured names of its scope.

    Raises:
        LegalRefused: ``rail_unknown`` or ``ends_at_past``.
    """
    if value not in set(known):
        raise LegalRefused("rail_unknown", f"no configured {scope} is called {value!r}")
    if ends_at <= now:
        raise LegalRefused("ends_at_past", f"{ends_at.isoformat()} is past: name a time at which it ends")
    return LegalApproval(
        approval_id=approval_id,
        scope=scope,
        value=value,
        reference=reference,
        jurisdictions=tuple(jurisdictions),
        ends_at=ends_at,
        state=LegalState.FILED,
        filed_by=by,
        filed_at=now,
    )


def confirmed(*, approval: LegalApproval, by: str, now: datetime) -> LegalApproval:
    """The approval, confirmed by a second person.

    Raises:
        LegalRefused: ``same_person``, ``legal_approval_confirmed`` or ``legal_approval_ended``.
    """
    if approval.state is LegalState.ENDED or now >= approval.ends_at:
        raise LegalRefused("legal_approval_ended", "the legal approval has ended: file another one")
    if approval.state is LegalState.CONFIRMED:
        raise LegalRefused("legal_approval_confirmed", "the legal approval is confirmed already")
    if by == approval.filed_by:
        raise LegalRefused("same_person", "who filed a legal approval does not confirm it")
    return replace(approval, state=LegalState.CONFIRMED, confirmed_by=by, confirmed_at=now)


def ended(*, approval: LegalApproval, by: str, now: datetime) -> LegalApproval:
    """The approval, ended at once. What was sent before is not stopped.

    Raises:
        LegalRefused: ``legal_approval_ended`` before.
    """
    if approval.state is LegalState.ENDED:
        raise LegalRefused("legal_approval_ended", "the legal approval was ended before")
    return replace(approval, state=LegalState.ENDED, ended_by=by, ended_at=now)
