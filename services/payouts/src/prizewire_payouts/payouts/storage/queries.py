"""Reading payouts: one with its attempts, and pages of lists."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts.codes import PAYOUT_DECISIONS, RetryDecision
from prizewire_payouts.metrics import OLDEST_UNKNOWN, PAYOUTS, PAYOUTS_WAITING
from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.payouts.domain.states import FINAL, PayoutState
from prizewire_payouts.payouts.storage import statements as sql
from prizewire_payouts.payouts.storage.payouts import attempt_from, payout_from
from prizewire_payouts.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutFilter:
    """Which payouts a list contains; None and empty filter nothing. They were requested at or after ``since`` and earlier
    than ``until``. ``before`` is the key of the last payout on the page before.
    """

    states: tuple[str, ...] = ()
    ids: tuple[UUID, ...] = ()
    player: str | None = None
    correlation_id: str | None = None
    rail: str | None = None
    asset: str | None = None
    method_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, UUID] | None = None
    offset: int = 0
    limit: int = 50


class StoredPayout(NamedTuple):
    """A payout, and when the database stored its last change."""

    payout: Payout
    stored_at: datetime


class PayoutQueries:
    """Reads payouts within a transaction; locks nothing."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._tx = unit_of_work.tx
        self._assets = unit_of_work.assets
        self._mac = unit_of_work.mac

    async def find(self, payout_id: UUID) -> Payout | None:
        """One payout."""
        row = (await self._tx.execute(sql.GET_PAYOUT, {"id": payout_id})).one_or_none()
        return None if row is None else payout_from(row, self._assets)

    async def attempts(self, payout_id: UUID) -> list[Attempt]:
        """All attempts of a payout, first to last."""
        found = await self._tx.execute(sql.ATTEMPTS, {"ids": [payout_id]})
        return [attempt_from(row, self._mac) for row in found]

    async def page(self, wanted: PayoutFilter) -> list[Payout]:
        """A page of payouts, newest request first."""
        found = await self._tx.execute(*listing(wanted))
        return [payout_from(row, self._assets) for row in found]

    async def changed_page(
        self, *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[StoredPayout]:
        """A page of the payouts that were stored at ``since`` or later, the last change first; those before a (time, id).
        The database sets the time: who writes a row cannot choose it.
        """
        found = await self._tx.execute(*changed_listing(since=since, before=before, limit=limit))
        return [StoredPayout(payout_from(row, self._assets), row.stored_at) for row in found]

    async def has_rail(self, rail: str) -> bool:
        """Whether any payout was routed to a rail of this name."""
        return (await self._tx.execute(sql.HAS_RAIL, {"rail": rail})).one_or_none() is not None


def listing(wanted: PayoutFilter) -> tuple[TextClause, dict[str, Any]]:
    """A page of payouts with its parameters, newest request first; of one moment the greater id first. A filter that is
    not set is no condition, so that each list has a plan of its own.
    """
    conditions: list[str] = []
    parameters: dict[str, Any] = {"limit": wanted.limit, "offset": wanted.offset}
    if wanted.states:
        conditions.append("p.state = ANY(CAST(:states AS text[]))")
        parameters["states"] = list(wanted.states)
    if wanted.ids:
        conditions.append("p.payout_id = ANY(CAST(:ids AS uuid[]))")
        parameters["ids"] = list(wanted.ids)
    for name, value, condition in (
        ("player", wanted.player, "p.player = :player"),
        ("correlation", wanted.correlation_id, "p.correlation_id = :correlation"),
        ("rail", wanted.rail, "p.rail = :rail"),
        ("asset", wanted.asset, "p.asset = :asset"),
        ("method", wanted.method_id, "p.method_id = :method"),
        ("since", wanted.since, "p.requested_at >= :since"),
        ("until", wanted.until, "p.requested_at < :until"),
    ):
        if value is not None:
            conditions.append(condition)
            parameters[name] = value
    if wanted.before is not None:
        conditions.append("(p.requested_at, p.payout_id) < (:before_at, :before_id)")
        parameters["before_at"], parameters["before_id"] = wanted.before
    where = " AND ".join(conditions) or "true"
    order = " ORDER BY p.requested_at DESC, p.payout_id DESC LIMIT :limit OFFSET :offset"
    return text(sql.PAYOUT + where + order), parameters


def changed_listing(
    *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
) -> tuple[TextClause, dict[str, Any]]:
    """A page of payouts with its parameters, the last change first; of one moment the greater id first."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {"limit": limit}
    if since is not None:
        conditions.append("p.stored_at >= :since")
        parameters["since"] = since
    if before is not None:
        conditions.append("(p.stored_at, p.payout_id) < (:before_at, :before_id)")
        parameters["before_at"], parameters["before_id"] = before
    where = " AND ".join(conditions) or "true"
    return text(sql.PAYOUT + where + " ORDER BY p.stored_at DESC, p.payout_id DESC LIMIT :limit"), parameters


_ALIVE = [state for state in PayoutState if state not in FINAL and state is not PayoutState.PAID]


_COUNTS = text(
    "SELECT state, count(*) AS n, min(changed_at) AS oldest FROM payouts "
    "WHERE state = ANY(CAST(:alive AS text[])) GROUP BY state"
)


_WAITING = text(
    "SELECT code, count(*) AS n FROM payouts WHERE state = 'approved' AND due_at > :now AND code IS NOT NULL "
    "GROUP BY code"
)


_WAITED_FOR = [
    code
    for code, decision in PAYOUT_DECISIONS.items()
    if decision in {RetryDecision.RETRY, RetryDecision.WAIT}
]


async def measure(tx: AsyncConnection, *, now: datetime) -> None:
    """Set the gauges of payouts to what the tables hold."""
    found = {row.state: row for row in await tx.execute(_COUNTS, {"alive": [str(state) for state in _ALIVE]})}
    waiting = {row.code: row.n for row in await tx.execute(_WAITING, {"now": now})}
    for code in _WAITED_FOR:
        PAYOUTS_WAITING.labels(code).set(waiting.get(code, 0))
    for state in _ALIVE:
        PAYOUTS.labels(state).set(found[state].n if state in found else 0)
    unknown = found.get(PayoutState.UNKNOWN)
    OLDEST_UNKNOWN.set((now - unknown.oldest).total_seconds() if unknown is not None else 0)
