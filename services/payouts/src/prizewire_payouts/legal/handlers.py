"""Legal approvals are filed, confirmed by a second person, and ended."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from prizewire_payouts.legal.domain import (
    LegalApproval,
    LegalScope,
    confirmed,
    ended,
    file_approval,
)
from prizewire_payouts.legal.ports import LegalApprovals


async def file_legal_approval(
    approvals: LegalApprovals,
    *,
    approval_id: UUID,
    scope: LegalScope,
    value: str,
    known: Mapping[LegalScope, Iterable[str]],
    reference: str,
    jurisdictions: Iterable[str],
    ends_at: datetime,
    by: str,
    now: datetime,
) -> LegalApproval:
    """Record a legal approval. It is in force once another person has confirmed it.

    Raises:
        LegalRefused: ``rail_unknown`` or ``ends_at_past``.
    """
    made = file_approval(
        approval_id=approval_id,
        scope=scope,
        value=value,
        known=known[scope],
        reference=reference,
        jurisdictions=jurisdictions,
        ends_at=ends_at,
        by=by,
        now=now,
    )
    await approvals.add(made)
    return made


async def confirm_legal_approval(
    approvals: LegalApprovals, *, approval_id: UUID, by: str, now: datetime
) -> LegalApproval:
    """Bring a legal approval into force.

    Raises:
        LegalRefused: ``legal_approval_not_found``, ``same_person``, ``legal_approval_confirmed`` or ``legal_approval_ended``.
    """
    made = confirmed(approval=await approvals.lock(approval_id), by=by, now=now)
    await approvals.save(made)
    return made


async def end_legal_approval(
    approvals: LegalApprovals, *, approval_id: UUID, by: str, now: datetime
) -> LegalApproval:
    """End a legal approval at once. One person is enough: it stops payments, and starts none.

    Raises:
        LegalRefused: ``legal_approval_not_found`` or ``legal_approval_ended``.
    """
    made = ended(approval=await approvals.lock(approval_id), by=by, now=now)
    await approvals.save(made)
    return made
