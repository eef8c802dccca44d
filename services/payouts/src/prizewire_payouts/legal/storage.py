"""Legal approvals over PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_chassis.db import after_commit
from prizewire_chassis.metrics import CREDENTIAL_EXPIRES
from prizewire_chassis.metrics.definitions import show
from prizewire_payouts.legal.domain import LegalApproval, LegalRefused, LegalScope, LegalState
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.unit_of_work import UnitOfWork

_COLUMNS = (
    "approval_id, scope, value, reference, jurisdictions, ends_at, state, filed_by, filed_at, confirmed_by, confirmed_at, "
    "ended_by, ended_at"
)
_ALL = text(f"SELECT {_COLUMNS} FROM legal_approvals ORDER BY filed_at DESC, approval_id")  # noqa: S608 - column names of our own
_LOCK = text(f"SELECT {_COLUMNS} FROM legal_approvals WHERE approval_id = :id FOR UPDATE")  # noqa: S608 - column names of our own
_INSERT = text(
    "INSERT INTO legal_approvals (approval_id, scope, value, reference, jurisdictions, ends_at, state, filed_by, filed_at) "
    "VALUES (:id, :scope, :value, :reference, :jurisdictions, :ends_at, :state, :filed_by, :filed_at)"
)
_UPDATE = text(
    "UPDATE legal_approvals SET state = :state, confirmed_by = :confirmed_by, confirmed_at = :confirmed_at, "
    "ended_by = :ended_by, ended_at = :ended_at WHERE approval_id = :id"
)
_IN_FORCE = text(
    "SELECT 1 FROM legal_approvals WHERE state = 'confirmed' AND ends_at > :now AND ((scope = 'rail' AND value = :rail) "
    "OR (scope = 'rail_type' AND value = :rail_type)) LIMIT 1"
)
_ENDS = text(
    "SELECT scope, value, max(ends_at) AS ends_at FROM legal_approvals WHERE state = 'confirmed' GROUP BY scope, value"
)
_KIND = "approval"
_BY_ONE_PERSON = text("SELECT approval_id FROM legal_approvals WHERE confirmed_by = filed_by LIMIT 100")


class LegalStorage:
    """`prizewire_payouts.legal.ports.LegalApprovals` over PostgreSQL."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._unit_of_work = unit_of_work
        self._tx = unit_of_work.tx

    async def all(self) -> list[LegalApproval]:
        """See the port."""
        return [_approval(row) for row in await self._tx.execute(_ALL)]

    async def lock(self, approval_id: UUID) -> LegalApproval:
        """See the port."""
        row = (await self._tx.execute(_LOCK, {"id": approval_id})).one_or_none()
        if row is None:
            raise LegalRefused("legal_approval_not_found", f"there is no legal approval {approval_id}")
        return _approval(row)

    async def add(self, approval: LegalApproval) -> None:
        """See the port."""
        await self._tx.execute(
            _INSERT,
            {
                "id": approval.approval_id,
                "scope": approval.scope,
                "value": approval.value,
                "reference": approval.reference,
                "jurisdictions": list(approval.jurisdictions),
                "ends_at": approval.ends_at,
                "state": approval.state,
                "filed_by": approval.filed_by,
                "filed_at": approval.filed_at,
            },
        )

    async def save(self, approval: LegalApproval) -> None:
        """See the port."""
        await self._tx.execute(
            _UPDATE,
            {
                "id": approval.approval_id,
                "state": approval.state,
                "confirmed_by": approval.confirmed_by,
                "confirmed_at": approval.confirmed_at,
                "ended_by": approval.ended_by,
                "ended_at": approval.ended_at,
            },
        )
        after_commit(self._tx, self._unit_of_work.wake_workers)


class LegalPermission:
    """Whether rails may pay, by the legal approvals in force. ``waived``, which only development may set, lets all of them."""

    def __init__(self, unit_of_work: UnitOfWork, *, waived: bool = False) -> None:
        self._tx = unit_of_work.tx
        self._waived = waived

    async def may_pay(self, rail: Rail, *, now: datetime) -> bool:
        """See `prizewire_payouts.payouts.ports.RailPermission`."""
        if self._waived or not rail.capabilities.needs_legal_approval:
            return True
        wanted = {"rail": rail.name, "rail_type": rail.capabilities.type, "now": now}
        return (await self._tx.execute(_IN_FORCE, wanted)).one_or_none() is not None


def _approval(row: Row[Any]) -> LegalApproval:
    return LegalApproval(
        approval_id=row.approval_id,
        scope=LegalScope(row.scope),
        value=row.value,
        reference=row.reference,
        jurisdictions=tuple(row.jurisdictions),
        ends_at=row.ends_at,
        state=LegalState(row.state),
        filed_by=row.filed_by,
        filed_at=row.filed_at,
        confirmed_by=row.confirmed_by,
        confirmed_at=row.confirmed_at,
        ended_by=row.ended_by,
        ended_at=row.ended_at,
    )


async def measure_legal_approvals(tx: AsyncConnection, *, rails: Sequence[Rail]) -> None:
    """Show when the last confirmed approval of each rail and rail type ends that needs one. An approval that has ended by itself is shown
    until another one follows, or a person ends it.
    """
    needing = [rail.capabilities for rail in rails if rail.capabilities.needs_legal_approval]
    known = {(LegalScope.RAIL, one.rail) for one in needing} | {
        (LegalScope.RAIL_TYPE, one.type) for one in needing
    }
    figures = {
        (_KIND, f"{row.scope}:{row.value}"): row.ends_at.timestamp()
        for row in await tx.execute(_ENDS)
        if (row.scope, row.value) in known
    }
    show(CREDENTIAL_EXPIRES, {(*key,): ends for key, ends in figures.items()}, within=(_KIND,))


async def _by_one_person(tx: AsyncConnection) -> list[str]:
    return [
        f"legal approval {row[0]} was filed and confirmed by one person"
        for row in await tx.execute(_BY_ONE_PERSON)
    ]


CHECKS = (Check("legal_approvals_by_two_persons", _by_one_person, count=rows_of("legal_approvals")),)
"""A legal approval that is in force was filed by one person and confirmed by another."""
