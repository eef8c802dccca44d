"""Listing and replaying messages that were not applied."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, is_transient
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec
from prizewire_chassis.inbox.stuck import STUCK_COLUMNS, Stuck, without_nul
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import PARKED_SUBJECTS, STUCK, STUCK_OLDEST
from prizewire_chassis.metrics.labels import OpenStuckState
from prizewire_chassis.row_values import without_rows

ID_MAX = 2**63 - 1
"""The largest id of a stuck event (bigint)."""
_log = get_logger(__name__)


class StuckState(StrEnum):
    """The states of a message that was not applied."""

    DEAD = "dead"
    PARKED = "parked"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class NotReplayable(Exception):
    """``code``: ``not_found``, ``already_replayed``, ``already_discarded``, ``consumer_unknown``, ``not_head`` (``head``
    says which event must go first) or ``admin_needed``.
    """

    def __init__(self, code: str, head: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.head = head


@dataclass(frozen=True, slots=True)
class ReplayAnswer:
    """The result of a replay: the ``state`` after it, why the event is still stuck, and how many followers were applied."""

    state: str
    reason: str | None
    detail: str | None
    released: int


ReplayRecorder = Callable[[AsyncConnection, int, ReplayAnswer], Awaitable[None]]
"""Records, in the replay's own transaction, that a stuck event (by its id) was replayed, and the result."""


async def _unrecorded(tx: AsyncConnection, stuck_id: int, answer: ReplayAnswer) -> None:
    """Record nothing: the service's own replays are not actions of a person."""


class StuckEvents:
    """Listing and replaying, over HTTP and by the job that replays parked events that no longer have to wait."""

    def __init__(
        self, *, db: Database, processor: BatchProcessor, specs: Sequence[ConsumerSpec], clock: Clock
    ) -> None:
        self.db = db
        self.processor = processor
        self.specs = {spec.name: spec for spec in specs}
        self.clock = clock

    async def page(
        self, *, after: int, limit: int, state: str | None = None, correlation_id: str | None = None
    ) -> list[dict[str, Any]]:
        """Stuck events after an id, oldest first, without their bodies."""
        async with self.db.transaction() as tx:
            rows = await tx.execute(
                _PAGE, {"after": after, "limit": limit, "state": state, "correlation_id": correlation_id}
            )
            return [dict(row) for row in rows.mappings()]

    async def show(self, stuck_id: int) -> dict[str, Any]:
        """One stuck event with its message as text.

        Raises:
            NotReplayable: ``not_found``.
        """
        row = None
        if stuck_id <= ID_MAX:
            async with self.db.transaction() as tx:
                row = (await tx.execute(_ONE, {"id": stuck_id})).mappings().one_or_none()
        if row is None:
            raise NotReplayable("not_found")
        found = dict(row)
        found["message"] = bytes(found.pop("value")).decode(errors="backslashreplace")
        return found

    async def replay(
        self, stuck_id: int, *, actor: str, record: ReplayRecorder = _unrecorded
    ) -> ReplayAnswer:
        """Replay one stuck event by its consumer, then those that waited behind it. Each is a transaction of its own, in
        which ``record`` is called, so that no replay is without its record.

        Raises:
            NotReplayable: with the reason as its code.
        """
        if stuck_id > ID_MAX:
            raise NotReplayable("not_found")
        answer, key = await self._attempt(stuck_id, actor=actor, record=record)
        if answer.state != "replayed" or key is None:
            return answer
        return replace(answer, released=await self.release_behind(key, actor=actor, record=record))

    async def release_behind(
        self, key: tuple[str, str, str], *, actor: str, record: ReplayRecorder = _unrecorded
    ) -> int:
        """Replay the parked events of a (consumer, source, subject) in their order, up to the first that is refused.
        Returns how many were applied.
        """
        released = 0
        while (head := await self._head(key)) is not None:
            follower, _ = await self._attempt(head, actor=actor, record=record)
            if follower.state != "replayed":
                break
            released += 1
        return released

    async def release(self) -> bool:
        """Replay parked heads that no longer have to wait: their gap is filled, the head before them was applied, or their
        consumer reports them ready. Returns whether one was applied.
        """
        async with self.db.transaction() as tx:
            rows = [(row.id, row.consumer) for row in await tx.execute(_RELEASABLE)]
            for spec in self.specs.values():
                if spec.ready is not None:
                    rows += [(head, spec.name) for head in await spec.ready(tx)]
            waiting = {row.state: row for row in await tx.execute(_COUNTS)}
            subjects = (await tx.execute(_SUBJECTS)).scalar_one()
        now = self.clock.now()
        for state in OpenStuckState:
            row = waiting.get(state)
            STUCK.labels(state).set(0 if row is None else row.n)
            age = timedelta(0) if row is None else now - row.oldest
            STUCK_OLDEST.labels(state).set(max(0.0, age.total_seconds()))
        PARKED_SUBJECTS.set(subjects)
        moved = False
        for head, consumer in sorted(rows):
            if consumer not in self.specs:
                continue
            try:
                answer = await self.replay(head, actor="system:release")
            except NotReplayable as gone:
                _log.info("already replayed", stuck_id=head, code=gone.code)
                continue
            moved = moved or answer.state == "replayed"
        return moved

    async def _head(self, key: tuple[str, str, str]) -> int | None:
        consumer, source, subject = key
        async with self.db.transaction() as tx:
            result = await tx.execute(_HEAD_ID, {"consumer": consumer, "source": source, "subject": subject})
            head: int | None = result.scalar_one_or_none()
            return head

    async def _attempt(
        self, stuck_id: int, *, actor: str, record: ReplayRecorder
    ) -> tuple[ReplayAnswer, tuple[str, str, str] | None]:
        try:
            async with self.db.transaction() as tx:
                answer, key = await self._replay_one(tx, stuck_id, actor=actor)
                await record(tx, stuck_id, answer)
            return answer, key
        except NotReplayable:
            raise
        except Exception as error:
            if is_transient(error):
                raise
            _log.exception("replay failed", stuck_id=stuck_id)
            detail = without_rows(repr(error))[:500]
            async with self.db.transaction() as tx:
                state = (await tx.execute(_BROKE, {"id": stuck_id, "detail": detail})).scalar_one_or_none()
                answer = ReplayAnswer(state or "replayed", "handler_error", detail, 0)
                await record(tx, stuck_id, answer)
            return answer, None

    async def _replay_one(
        self, tx: AsyncConnection, stuck_id: int, *, actor: str
    ) -> tuple[ReplayAnswer, tuple[str, str, str] | None]:
        row = (await tx.execute(_LOCK, {"id": stuck_id})).one_or_none()
        if row is None:
            raise NotReplayable("not_found")
        spec = self.specs.get(row.consumer)
        ended = ("replayed",) if spec is not None and spec.chained else ("replayed", "discarded")
        if row.state in ended:
            raise NotReplayable(f"already_{row.state}")
        if spec is None:
            raise NotReplayable("consumer_unknown")
        key = None
        if row.state == "parked":
            key = (row.consumer, row.source, row.subject)
            head = await tx.execute(
                _HEAD_ID, {"consumer": row.consumer, "source": row.source, "subject": row.subject}
            )
            first = head.scalar_one()
            if first != stuck_id:
                raise NotReplayable("not_head", first)
        entry = Stuck(**{name: getattr(row, name) for name in STUCK_COLUMNS}, value=bytes(row.value))
        refusal = await self.processor.replay(tx, spec, entry)
        if refusal is None:
            await tx.execute(_DONE, {"id": stuck_id, "now": self.clock.now(), "actor": actor})
            return ReplayAnswer("replayed", None, None, 0), key
        state = "parked" if refusal.park else "dead"
        detail = without_nul(refusal.detail[:500])
        values = {"id": stuck_id, "state": state, "reason": str(refusal.code), "detail": detail}
        await tx.execute(_STILL, values)
        return ReplayAnswer(state, str(refusal.code), detail, 0), key


_HEAD_ID = text(
    "SELECT min(id) FROM stuck_events WHERE state = 'parked' AND consumer = :consumer AND source = :source "
    "AND subject = :subject"
)
_PAGE = text(
    'SELECT id, consumer, topic, partition, "offset", event_id, source, subject, type, version, correlation_id, '
    "state, reason, detail, recorded_at AS at FROM stuck_events WHERE id > :after "
    "AND (CAST(:state AS text) IS NULL AND state IN ('dead', 'parked') OR state = CAST(:state AS text)) "
    "AND (CAST(:correlation_id AS text) IS NULL OR correlation_id = CAST(:correlation_id AS text)) "
    "ORDER BY id LIMIT :limit"
)
_ONE = text("SELECT *, recorded_at AS at FROM stuck_events WHERE id = :id")
_LOCK = text("SELECT * FROM stuck_events WHERE id = :id FOR UPDATE")
_DONE = text(
    "UPDATE stuck_events SET state = 'replayed', replayed_at = :now, replayed_by = :actor WHERE id = :id"
)
_STILL = text("UPDATE stuck_events SET state = :state, reason = :reason, detail = :detail WHERE id = :id")
_BROKE = text(
    "UPDATE stuck_events SET reason = 'handler_error', detail = :detail WHERE id = :id AND state IN ('dead', 'parked') "
    "RETURNING state"
)
_COUNTS = text(
    "SELECT state, count(*) AS n, min(recorded_at) AS oldest FROM stuck_events WHERE state IN ('dead', 'parked') "
    "GROUP BY state"
)
_SUBJECTS = text(
    "SELECT count(*) FROM (SELECT DISTINCT consumer, source, subject FROM stuck_events WHERE state = 'parked') s"
)
_RELEASABLE = text(
    "WITH heads AS (SELECT DISTINCT ON (consumer, source, subject) * FROM stuck_events WHERE state = 'parked' "
    "ORDER BY consumer, source, subject, id) "
    "SELECT h.id, h.consumer FROM heads h LEFT JOIN applied_versions v ON v.consumer = h.consumer "
    "AND v.source = h.source AND v.subject = h.subject "
    "WHERE h.reason = 'subject_parked' OR (h.reason = 'version_gap' AND h.version <= coalesce(v.version, 0) + 1) "
    "ORDER BY h.id LIMIT 200"
)
