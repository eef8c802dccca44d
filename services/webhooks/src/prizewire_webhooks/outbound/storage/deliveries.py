"""Events and their deliveries: matched in batches, claimed lane by lane, settled one by one.

A lane is (subscription, correlation id), in the order of delivery ids; its head is its earliest delivery that has
not ended. Only heads are claimed. A claim that loses a race sees the row's new state when it gets the lock
(PostgreSQL checks the condition again on the newest version), so no delivery is leased twice. Batches are matched one
after the other: delivery ids become visible in their order, and nothing comes to stand before a head already sent.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import batch_of
from prizewire_webhooks.outbound.domain.decisions import Outcome, Verdict
from prizewire_webhooks.outbound.domain.model import (
    Answer,
    Attempt,
    Delivery,
    PublicEvent,
    SealedSecret,
    Task,
)
from prizewire_webhooks.outbound.domain.states import DeliveryState, SubscriptionState
from prizewire_webhooks.outbound.ports import Standing, Stored
from prizewire_webhooks.outbound.storage.history import Edge, add_transitions
from prizewire_webhooks.outbound.storage.subscriptions import REGISTRY


class SqlDeliveries:
    """``ports.DeliveryStore`` over one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def take_in(self, events: Sequence[PublicEvent], *, now: datetime, give_up_at: datetime) -> Stored:
        """See the port."""
        if not events:
            return Stored(deliveries=0)
        await self._tx.execute(_LOCK)
        columns = {
            "ids": [event.event_id for event in events],
            "sources": [event.source for event in events],
            "types": [event.type for event in events],
            "subjects": [event.subject for event in events],
            "correlations": [event.correlation_id for event in events],
            "messages": [event.message for event in events],
        }
        new = [row.event_id for row in await self._tx.execute(_ADD_EVENTS, {**columns, "now": now})]
        created = await self._tx.execute(_MATCH, {"ids": new, "now": now, "give_up_at": give_up_at})
        taken: frozenset[str] = frozenset()
        if len(new) < len(events):
            taken = frozenset(row.event_id for row in await self._tx.execute(_TAKEN, columns))
        return Stored(deliveries=int(created.rowcount), taken=taken)

    async def claim(
        self, *, now: datetime, lease_until: datetime, limit: int, per_subscription: int
    ) -> list[Task]:
        """See the port."""
        batch = batch_of(self._tx)
        limit = batch.limit(limit)
        probed = await self._tx.execute(_PROBES, {"now": now, "until": lease_until, "limit": limit})
        probes = [row.subscription_id for row in probed]
        values = {
            "now": now,
            "probes": probes,
            "limit": limit,
            "cap": per_subscription,
            "without": batch.without,
        }
        if batch.alone:
            await batch.claim(self._tx, _PICK, values)
        rows = (await self._tx.execute(_PICK, values)).all()
        if not rows:
            return []
        ids = [row.delivery_id for row in rows]
        await self._tx.execute(_LOST, {"ids": ids, "now": now})
        await self._tx.execute(_LEASE, {"ids": ids, "until": lease_until, "now": now})
        await self._tx.execute(
            _OPEN_ATTEMPTS,
            {
                "ids": ids,
                "numbers": [row.attempts + 1 for row in rows],
                "probes": [row.subscription_state == SubscriptionState.FAILING for row in rows],
                "now": now,
            },
        )
        edges: list[Edge] = [
            (str(row.delivery_id), DeliveryState.PENDING, DeliveryState.SENDING, "claim", row.correlation_id)
            for row in rows
            if row.state == DeliveryState.PENDING
        ]
        await add_transitions(self._tx, machine="delivery", edges=edges, now=now)
        secrets = await self._secrets(sorted({row.subscription_id for row in rows}), now=now)
        return [_task(row, secrets.get(row.subscription_id, ())) for row in rows]

    async def _secrets(self, ids: Sequence[UUID], *, now: datetime) -> Mapping[UUID, Sequence[SealedSecret]]:
        found: dict[UUID, list[SealedSecret]] = {}
        for row in await self._tx.execute(_SECRETS, {"ids": ids, "now": now}):
            found.setdefault(row.subscription_id, []).append(
                SealedSecret(subscription_id=row.subscription_id, key_id=row.key_id, sealed=bytes(row.sealed))
            )
        return found

    async def standing(self, subscription_id: UUID) -> Standing:
        """See the port."""
        row = (await self._tx.execute(_STANDING, {"id": subscription_id})).one()
        return Standing(state=SubscriptionState(row.state), failures=row.failures, host=_host(row.url))

    async def recover(self, subscription_id: UUID, *, cause: str, now: datetime) -> None:
        """See the port."""
        changed = (await self._tx.execute(_RECOVER, {"id": subscription_id, "now": now})).one_or_none()
        if changed is not None:
            edge = (str(subscription_id), SubscriptionState.FAILING, SubscriptionState.ACTIVE, cause, None)
            await add_transitions(self._tx, machine="subscription", edges=[edge], now=now)

    async def pause(
        self,
        subscription_id: UUID,
        *,
        old: SubscriptionState,
        failures: int,
        probe_at: datetime,
        cause: str,
        now: datetime,
    ) -> None:
        """See the port."""
        await self._tx.execute(
            _PAUSE, {"id": subscription_id, "failures": failures, "probe_at": probe_at, "now": now}
        )
        if old is SubscriptionState.ACTIVE:
            edge = (str(subscription_id), old, SubscriptionState.FAILING, cause, None)
            await add_transitions(self._tx, machine="subscription", edges=[edge], now=now)
        expired = await self._tx.execute(_EXPIRE, {"id": subscription_id, "now": now})
        edges: list[Edge] = [
            (str(row.delivery_id), DeliveryState.PENDING, DeliveryState.DEAD, "expired", row.correlation_id)
            for row in expired
        ]
        await add_transitions(self._tx, machine="delivery", edges=edges, now=now)

    async def finish(self, task: Task, *, verdict: Verdict, answer: Answer, now: datetime) -> bool:
        """See the port."""
        moved = await self._tx.execute(
            _FINISH,
            {
                "id": task.delivery_id,
                "number": task.number,
                "state": verdict.state,
                "due_at": verdict.due_at,
                "refused": int(verdict.outcome is Outcome.REFUSED),
                "now": now,
            },
        )
        if moved.rowcount == 0:
            return False
        await self._tx.execute(
            _CLOSE_ATTEMPT,
            {
                "id": task.delivery_id,
                "number": task.number,
                "outcome": verdict.outcome,
                "status": answer.status,
                "code": answer.code,
                "latency_ms": answer.latency_ms,
                "response": answer.excerpt or None,
                "now": now,
            },
        )
        cause = answer.code or str(answer.status)
        edge = (
            str(task.delivery_id),
            DeliveryState.SENDING,
            str(verdict.state),
            cause,
            task.correlation_id,
        )
        await add_transitions(self._tx, machine="delivery", edges=[edge], now=now)
        return True

    async def page(
        self, *, subscription_id: UUID, state: str | None, before: int | None, limit: int
    ) -> list[Delivery]:
        """See the port."""
        found = await self._tx.execute(
            _PAGE, {"id": subscription_id, "state": state, "before": before, "limit": limit}
        )
        return _deliveries(found.all())

    async def of_correlation(self, correlation_id: str) -> list[Delivery]:
        """See the port."""
        return _deliveries((await self._tx.execute(_OF_CORRELATION, {"id": correlation_id})).all())

    async def drop_orphans(self, *, now: datetime) -> int:
        """See the port."""
        rows = (await self._tx.execute(_ORPHANS, {"now": now})).all()
        if not rows:
            return 0
        await self._tx.execute(_LOST, {"ids": [row.delivery_id for row in rows], "now": now})
        edges: list[Edge] = [
            (str(row.delivery_id), DeliveryState.SENDING, DeliveryState.DROPPED, "ended", row.correlation_id)
            for row in rows
        ]
        await add_transitions(self._tx, machine="delivery", edges=edges, now=now)
        return len(rows)

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """See the port."""
        found: dict[str, dict[str, int]] = {"subscriptions": {}, "deliveries": {}}
        for row in await self._tx.execute(_COUNTS):
            found[row.machine][row.state] = row.number
        return found

    async def oldest_open(self) -> datetime | None:
        """See the port."""
        oldest: datetime | None = (await self._tx.execute(_OLDEST_OPEN)).scalar_one()
        return oldest


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _task(row: Row[Any], secrets: Sequence[SealedSecret]) -> Task:
    return Task(
        delivery_id=row.delivery_id,
        number=row.attempts + 1,
        refusals=row.refusals,
        probe=row.subscription_state == SubscriptionState.FAILING,
        give_up_at=row.give_up_at,
        subscription_id=row.subscription_id,
        url=row.url,
        secrets=secrets,
        event=PublicEvent(
            event_id=row.event_id,
            source=row.source,
            type=row.type,
            subject=row.subject,
            correlation_id=row.event_correlation_id,
            message=None if row.message is None else bytes(row.message),
        ),
        wanted=row.wanted,
        correlation_id=row.correlation_id,
        event_taken_at=row.taken_at,
    )


def _deliveries(rows: Sequence[Row[Any]]) -> list[Delivery]:
    """Group rows of (delivery, attempt), which come sorted."""
    found = []
    for _, group in groupby(rows, key=lambda row: row.delivery_id):
        tries = list(group)
        first = tries[0]
        found.append(
            Delivery(
                delivery_id=first.delivery_id,
                subscription_id=first.subscription_id,
                host=_host(first.url),
                event_id=first.event_id,
                event_type=first.type,
                correlation_id=first.correlation_id,
                state=DeliveryState(first.state),
                due_at=first.due_at,
                created_at=first.created_at,
                changed_at=first.changed_at,
                attempts=tuple(
                    Attempt(
                        number=row.number,
                        started_at=row.started_at,
                        outcome=row.outcome,
                        status=row.status,
                        code=row.code,
                        latency_ms=row.latency_ms,
                        response=row.response,
                    )
                    for row in tries
                    if row.number is not None
                ),
            )
        )
    return found


WANTED = (
    "e.type = ANY(s.event_types) AND e.seq > s.from_seq AND (s.until_seq IS NULL OR e.seq <= s.until_seq)"
)
"""Whether subscription ``s`` gets event ``e``."""
_LOCK = text(f"SELECT pg_advisory_xact_lock({REGISTRY})")
_EVENTS = (
    "unnest(CAST(:ids AS text[]), CAST(:sources AS text[]), CAST(:types AS text[]), CAST(:subjects AS text[]), "
    "CAST(:correlations AS text[]), CAST(:messages AS bytea[])) "
    "WITH ORDINALITY AS u(event_id, source, type, subject, correlation_id, message, n)"
)
_ADD_EVENTS = text(
    "INSERT INTO public_events (event_id, source, type, subject, correlation_id, message, taken_at) "  # noqa: S608 - constants
    "SELECT u.event_id, u.source, u.type, u.subject, u.correlation_id, u.message, CAST(:now AS timestamptz) "
    f"FROM {_EVENTS} ORDER BY u.n "
    "ON CONFLICT (event_id) DO NOTHING RETURNING event_id"
)
_TAKEN = text(
    f"SELECT e.event_id FROM {_EVENTS} JOIN public_events e ON e.event_id = u.event_id "  # noqa: S608 - constants
    "WHERE (e.source, e.type, e.subject, e.correlation_id, e.message) "
    "<> (u.source, u.type, u.subject, u.correlation_id, u.message)"
)
_MATCH = text(
    "WITH created AS (INSERT INTO deliveries (subscription_id, event_id, correlation_id, state, attempts, refusals, "
    "due_at, give_up_at, created_at, changed_at) "
    "SELECT s.subscription_id, e.event_id, e.correlation_id, 'pending', 0, 0, CAST(:now AS timestamptz), "
    "CAST(:give_up_at AS timestamptz), CAST(:now AS timestamptz), CAST(:now AS timestamptz) "
    "FROM public_events e JOIN subscriptions s ON e.type = ANY(s.event_types) AND s.state IN ('active', 'failing') "
    "WHERE e.event_id = ANY(CAST(:ids AS text[])) ORDER BY e.seq, s.subscription_id "
    "RETURNING delivery_id, event_id, correlation_id) "
    "INSERT INTO transitions (machine, subject, from_state, to_state, cause, correlation_id, at) "
    "SELECT 'delivery', CAST(delivery_id AS text), '', 'pending', event_id, correlation_id, "
    "CAST(:now AS timestamptz) FROM created ORDER BY delivery_id"
)
_DUE = "(d.state = 'pending' AND d.due_at <= :now OR d.state = 'sending' AND d.lease_until <= :now)"
_HEAD = (
    "NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.subscription_id = d.subscription_id "
    "AND e.correlation_id = d.correlation_id AND e.delivery_id < d.delivery_id AND e.state IN ('pending', 'sending'))"
)
_PROBES = text(
    "UPDATE subscriptions SET probe_at = CAST(:until AS timestamptz) WHERE subscription_id IN ("  # noqa: S608 - constants
    "SELECT s.subscription_id FROM subscriptions s WHERE s.state = 'failing' AND s.probe_at <= :now AND EXISTS ("
    f"SELECT 1 FROM deliveries d WHERE d.subscription_id = s.subscription_id AND {_DUE}) "
    "ORDER BY s.probe_at LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING subscription_id"
)
_PICK = text(
    "SELECT d.delivery_id, d.subscription_id, d.event_id, d.correlation_id, d.state, d.attempts, d.refusals, "  # noqa: S608 - constants
    "d.give_up_at, s.url, s.state AS subscription_state, e.source, e.type, e.subject, "
    f"e.correlation_id AS event_correlation_id, e.message, e.taken_at, {WANTED} AS wanted "
    "FROM subscriptions s CROSS JOIN LATERAL ("
    "SELECT d.delivery_id FROM deliveries d WHERE d.subscription_id = s.subscription_id AND "
    f"{_DUE} AND {_HEAD} ORDER BY d.delivery_id LIMIT CASE WHEN s.state = 'failing' THEN 1 ELSE greatest(0, "
    "CAST(:cap AS bigint) - (SELECT count(*) FROM deliveries b WHERE b.subscription_id = s.subscription_id "
    "AND b.state = 'sending' AND b.lease_until > :now)) END) head "
    "JOIN deliveries d ON d.delivery_id = head.delivery_id JOIN public_events e ON e.event_id = d.event_id "
    f"WHERE (s.state = 'active' OR s.subscription_id = ANY(CAST(:probes AS uuid[]))) AND {_DUE} "
    "AND d.delivery_id <> ALL(CAST(:without AS bigint[])) "
    "ORDER BY d.delivery_id LIMIT :limit FOR UPDATE OF d SKIP LOCKED"
)
_LOST = text(
    "UPDATE attempts SET outcome = 'lost', finished_at = :now "
    "WHERE delivery_id = ANY(CAST(:ids AS bigint[])) AND outcome = 'open'"
)
_LEASE = text(
    "UPDATE deliveries SET state = 'sending', attempts = attempts + 1, lease_until = :until, changed_at = :now "
    "WHERE delivery_id = ANY(CAST(:ids AS bigint[]))"
)
_OPEN_ATTEMPTS = text(
    "INSERT INTO attempts (delivery_id, number, probe, outcome, started_at) "
    "SELECT u.id, u.number, u.probe, 'open', CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:ids AS bigint[]), CAST(:numbers AS int[]), CAST(:probes AS boolean[])) AS u(id, number, probe)"
)
_SECRETS = text(
    "SELECT subscription_id, key_id, sealed FROM subscription_secrets "
    "WHERE subscription_id = ANY(CAST(:ids AS uuid[])) AND (expires_at IS NULL OR expires_at > :now) "
    "ORDER BY subscription_id, number DESC"
)
_STANDING = text(
    "SELECT state, failures, url FROM subscriptions WHERE subscription_id = :id FOR NO KEY UPDATE"
)
_RECOVER = text(
    "UPDATE subscriptions SET state = 'active', failures = 0, probe_at = NULL, changed_at = :now "
    "WHERE subscription_id = :id AND state = 'failing' RETURNING subscription_id"
)
_PAUSE = text(
    "UPDATE subscriptions SET state = 'failing', failures = :failures, probe_at = :probe_at, changed_at = :now "
    "WHERE subscription_id = :id"
)
_EXPIRE = text(
    "UPDATE deliveries SET state = 'dead', changed_at = :now "
    "WHERE subscription_id = :id AND state = 'pending' AND give_up_at <= :now RETURNING delivery_id, correlation_id"
)
_FINISH = text(
    "UPDATE deliveries SET state = :state, due_at = :due_at, lease_until = NULL, refusals = refusals + :refused, "
    "changed_at = :now WHERE delivery_id = :id AND state = 'sending' AND attempts = :number"
)
_CLOSE_ATTEMPT = text(
    "UPDATE attempts SET outcome = :outcome, status = :status, code = :code, latency_ms = :latency_ms, "
    "response = :response, finished_at = :now WHERE delivery_id = :id AND number = :number"
)
_DELIVERY = (
    "d.delivery_id, d.subscription_id, d.event_id, d.correlation_id, d.state, d.due_at, d.created_at, d.changed_at, "
    "s.url, e.type, a.number, a.started_at, a.outcome, a.status, a.code, a.latency_ms, a.response"
)
_JOINS = (
    "JOIN subscriptions s ON s.subscription_id = d.subscription_id JOIN public_events e ON e.event_id = d.event_id "
    "LEFT JOIN attempts a ON a.delivery_id = d.delivery_id"
)
_PAGE = text(
    f"SELECT {_DELIVERY} FROM (SELECT * FROM deliveries WHERE subscription_id = :id "  # noqa: S608 - constants
    "AND (CAST(:state AS text) IS NULL OR state = :state) "
    "AND (CAST(:before AS bigint) IS NULL OR delivery_id < :before) "
    f"ORDER BY delivery_id DESC LIMIT :limit) d {_JOINS} ORDER BY d.delivery_id DESC, a.number"
)
_OF_CORRELATION = text(
    f"SELECT {_DELIVERY} FROM (SELECT * FROM deliveries WHERE correlation_id = :id "  # noqa: S608 - constants
    f"ORDER BY delivery_id LIMIT 1000) d {_JOINS} ORDER BY d.delivery_id, a.number"
)
_ORPHANS = text(
    "UPDATE deliveries SET state = 'dropped', lease_until = NULL, changed_at = :now WHERE delivery_id IN ("
    "SELECT d.delivery_id FROM deliveries d JOIN subscriptions s ON s.subscription_id = d.subscription_id "
    "WHERE d.state = 'sending' AND d.lease_until <= :now AND s.state IN ('disabled', 'deleted') "
    "FOR UPDATE OF d SKIP LOCKED) RETURNING delivery_id, correlation_id"
)
_OLDEST_OPEN = text("SELECT min(created_at) FROM deliveries WHERE state IN ('pending', 'sending')")
_COUNTS = text(
    "SELECT 'subscriptions' AS machine, state, count(*) AS number FROM subscriptions GROUP BY state UNION ALL "
    "SELECT 'deliveries', state, count(*) FROM deliveries WHERE state IN ('pending', 'sending') GROUP BY state"
)
