"""Reading payouts: one with its attempts, and pages of lists."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text

from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.payouts.domain.retries import Retry
from prizewire_payouts.payouts.domain.states import NO_ATTEMPT_OPEN, PayoutState
from prizewire_payouts.payouts.storage import statements as sql
from prizewire_payouts.payouts.storage.payouts import attempt_from, payout_from
from prizewire_payouts.payouts.storage.retries import retries_of
from prizewire_payouts.unit_of_work import UnitOfWork


class SortBy(StrEnum):
    """What a list of payouts is sorted by. The oldest request comes first among those of one name."""

    AGE = "age"
    AMOUNT = "amount"
    RAIL = "rail"
    ASSET = "asset"
    PLAYER = "player"


_SORT_COLUMNS: Final = {
    SortBy.AGE: {"p.requested_at": "timestamptz", "p.payout_id": "uuid"},
    SortBy.AMOUNT: {"p.amount_minor": "bigint", "p.payout_id": "uuid"},
    SortBy.RAIL: {"coalesce(p.rail, '')": "text", "p.requested_at": "timestamptz", "p.payout_id": "uuid"},
    SortBy.ASSET: {"p.asset": "text", "p.requested_at": "timestamptz", "p.payout_id": "uuid"},
    SortBy.PLAYER: {
        "coalesce(p.player, '')": "text",
        "p.requested_at": "timestamptz",
        "p.payout_id": "uuid",
    },
}
"""The sort key of each order, with the types of its columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The order of a list: all columns of its key rise, or all fall."""

    by: SortBy
    descending: bool


NEWEST_FIRST: Final = Order(by=SortBy.AGE, descending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutFilter:
    """Which payouts a list contains; None and empty filter nothing. They were requested at or after ``since`` and earlier
    than ``until``. ``after`` is the sort key of the last payout on the page before. Bounds of the amount are in minor units,
    and are given with ``asset``. ``person`` is the player or the payee.
    """

    states: tuple[str, ...] = ()
    ids: tuple[UUID, ...] = ()
    player: str | None = None
    person: str | None = None
    payee: str | None = None
    correlation_id: str | None = None
    rail: str | None = None
    asset: str | None = None
    method_id: UUID | None = None
    batch_id: UUID | None = None
    campaign: str | None = None
    competition: str | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    code: str | None = None
    amount_from: int | None = None
    amount_to: int | None = None
    order: Order = NEWEST_FIRST
    after: tuple[Any, ...] | None = None
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseNote:
    """A pause that keeps a payout from being sent: what is paused, why, by whom, since when."""

    scope: str
    value: str
    reason: str
    paused_by: str
    paused_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GateNote:
    """A gate that holds a payout, and why, for approvers."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceNote:
    """What a person found of an attempt, and what another person decided: `prizewire_payouts.reviews` says what its members mean."""

    evidence_id: UUID
    attempt_no: int
    state: str
    finding: str
    reference: str
    note: str
    filed_by: str
    filed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffNotes:
    """What staff see beside a payout: who has approved it under its present hold, the pause and the gates that keep it."""

    approvers: tuple[str, ...] = ()
    pause: PauseNote | None = None
    gates: tuple[GateNote, ...] = ()


NO_NOTES: Final = StaffNotes()


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
        self._former = unit_of_work.former_macs

    async def find(self, payout_id: UUID) -> Payout | None:
        """One payout."""
        row = (await self._tx.execute(sql.GET_PAYOUT, {"id": payout_id})).one_or_none()
        return None if row is None else payout_from(row, self._assets)

    async def attempts(self, payout_id: UUID) -> list[Attempt]:
        """All attempts of a payout, first to last."""
        found = await self._tx.execute(sql.ATTEMPTS, {"ids": [payout_id]})
        return [attempt_from(row, self._mac, self._former) for row in found]

    async def retries(self, payout_id: UUID) -> list[Retry]:
        """The requests to retry a payout, in their order."""
        return await retries_of(self._tx, payout_id)

    async def evidence(self, payout_id: UUID) -> list[EvidenceNote]:
        """All evidence about a payout, oldest first."""
        found = await self._tx.execute(_EVIDENCE_OF, {"id": payout_id})
        return [EvidenceNote(**row) for row in found.mappings()]

    async def page(self, wanted: PayoutFilter) -> list[Payout]:
        """A page of payouts, in the order of the filter."""
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

    async def notes(self, payouts: Sequence[Payout]) -> dict[UUID, StaffNotes]:
        """What stands beside each of these payouts."""
        approvers = await self._approvers(payouts)
        pauses, gates = await self._pauses(payouts), await self._gates(payouts)
        return {
            key: StaffNotes(
                approvers=tuple(approvers.get(key, ())),
                pause=pauses.get(key),
                gates=tuple(gates.get(key, ())),
            )
            for key in (payout.payout_id for payout in payouts)
        }

    async def _approvers(self, payouts: Sequence[Payout]) -> dict[UUID, list[str]]:
        """The approvers of each payout under its present hold, in order; none are left out."""
        found: dict[UUID, list[str]] = defaultdict(list)
        if holds := _holds(payouts):
            for row in await self._tx.execute(_APPROVERS, holds):
                found[row.payout_id].append(row.approver)
        return found

    async def _gates(self, payouts: Sequence[Payout]) -> dict[UUID, list[GateNote]]:
        """The gates that hold each payout, under its present hold; none are left out."""
        found: dict[UUID, list[GateNote]] = defaultdict(list)
        if holds := _holds([payout for payout in payouts if payout.state is PayoutState.HELD]):
            for row in await self._tx.execute(_GATES, holds):
                found[row.payout_id].append(GateNote(code=row.gate, reason=row.reason))
        return found

    async def _pauses(self, payouts: Sequence[Payout]) -> dict[UUID, PauseNote]:
        """The pause that keeps each of these payouts from being sent, the oldest of several. Payouts that no pause keeps, and
        those with an attempt under way, are left out.
        """
        return await self.pauses_of(
            [payout.payout_id for payout in payouts if payout.state in NO_ATTEMPT_OPEN]
        )

    async def pauses_of(self, payout_ids: Sequence[UUID]) -> dict[UUID, PauseNote]:
        """The pause in force of each of these payouts in whatever state, the oldest of several; payouts without one are left out."""
        if not payout_ids:
            return {}
        return {
            row.payout_id: PauseNote(
                scope=row.scope,
                value=row.value,
                reason=row.reason,
                paused_by=row.paused_by,
                paused_at=row.paused_at,
            )
            for row in await self._tx.execute(_PAUSES_OF, {"ids": list(payout_ids)})
        }

    async def has_rail(self, rail: str) -> bool:
        """Whether any payout was routed to a rail of this name."""
        return (await self._tx.execute(sql.HAS_RAIL, {"rail": rail})).one_or_none() is not None


_PAUSES_OF = text(
    "SELECT DISTINCT ON (p.payout_id) p.payout_id, x.scope, x.value, x.reason, x.paused_by, x.paused_at "  # noqa: S608 - constants
    f"FROM payouts p JOIN pauses x ON {sql.PAUSED} WHERE p.payout_id = ANY(CAST(:ids AS uuid[])) "
    "ORDER BY p.payout_id, x.paused_at, x.pause_id"
)
_GATES = text(
    "SELECT g.payout_id, g.gate, g.reason FROM gate_findings g "
    "JOIN unnest(CAST(:ids AS uuid[]), CAST(:holds AS int[])) AS u(payout_id, hold_no) USING (payout_id, hold_no) "
    "ORDER BY g.payout_id, g.gate"
)
_EVIDENCE_OF = text(
    "SELECT evidence_id, attempt_no, state, finding, reference, note, filed_by, filed_at, decided_by, decided_at, decision_note "
    "FROM payout_evidence WHERE payout_id = :id ORDER BY filed_at, evidence_id"
)
_APPROVERS = text(
    "SELECT a.payout_id, a.approver FROM approvals a "
    "JOIN unnest(CAST(:ids AS uuid[]), CAST(:holds AS int[])) AS u(payout_id, hold_no) USING (payout_id, hold_no) "
    "ORDER BY a.payout_id, a.at, a.approver"
)


def _holds(payouts: Sequence[Payout]) -> dict[str, Any]:
    held = {payout.payout_id: payout.hold_no for payout in payouts if payout.hold_no}
    return {"ids": list(held), "holds": list(held.values())} if held else {}


def listing(wanted: PayoutFilter) -> tuple[TextClause, dict[str, Any]]:
    """A page of payouts with its parameters, in the order of the filter. A filter that is not set is no condition, so that each
    list has a plan of its own.
    """
    conditions: list[str] = []
    parameters: dict[str, Any] = {"limit": wanted.limit, "offset": wanted.offset}
    if wanted.states == (PayoutState.HELD,):
        # as a constant, so that the indexes of the held payouts serve it
        conditions.append("p.state = 'held'")
    elif wanted.states:
        conditions.append("p.state = ANY(CAST(:states AS text[]))")
        parameters["states"] = list(wanted.states)
    if wanted.ids:
        conditions.append("p.payout_id = ANY(CAST(:ids AS uuid[]))")
        parameters["ids"] = list(wanted.ids)
    for name, value, condition in (
        ("player", wanted.player, "p.player = :player"),
        ("person", wanted.person, "(p.player = :person OR p.payee = :person)"),
        ("payee", wanted.payee, "p.payee = :payee"),
        ("correlation", wanted.correlation_id, "p.correlation_id = :correlation"),
        ("rail", wanted.rail, "p.rail = :rail"),
        ("asset", wanted.asset, "p.asset = :asset"),
        ("method", wanted.method_id, "p.method_id = :method"),
        ("batch", wanted.batch_id, "p.batch_id = :batch"),
        ("campaign", wanted.campaign, "p.campaign = :campaign"),
        ("competition", wanted.competition, "p.competition = :competition"),
        ("source", wanted.source, "p.source = :source"),
        ("since", wanted.since, "p.requested_at >= :since"),
        ("until", wanted.until, "p.requested_at < :until"),
        ("code", wanted.code, "p.code = :code"),
        ("amount_from", wanted.amount_from, "p.amount_minor >= :amount_from"),
        ("amount_to", wanted.amount_to, "p.amount_minor <= :amount_to"),
    ):
        if value is not None:
            conditions.append(condition)
            parameters[name] = value
    columns, falls = _SORT_COLUMNS[wanted.order.by], wanted.order.descending
    if wanted.after is not None:
        named = {f"after_{number}": value for number, value in enumerate(wanted.after)}
        given = ", ".join(
            f"CAST(:{name} AS {kind})" for name, kind in zip(named, columns.values(), strict=True)
        )
        conditions.append(f"({', '.join(columns)}) {'<' if falls else '>'} ({given})")
        parameters |= named
    where = " AND ".join(conditions) or "true"
    order = ", ".join(f"{column} DESC" if falls else column for column in columns)
    return text(f"{sql.PAYOUT}{where} ORDER BY {order} LIMIT :limit OFFSET :offset"), parameters


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
