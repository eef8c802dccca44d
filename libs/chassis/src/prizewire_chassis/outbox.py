"""Events are stored in the outbox by the transaction that caused them, and published to Kafka by one relay.

The relay reads the ids in ``outbox_waiting`` in their order, in the transaction in which it sends the events. A cursor over
ids would lose events, because a lower id can become visible after a higher one. After a crash an event may be published
twice; none is lost.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeAlias

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, Write, after_commit, is_transient, later
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import OUTBOX_AGE, OUTBOX_BLOCKED, OUTBOX_WAITING, RELAYED
from prizewire_chassis.tracing import continue_traces, derived, name_correlation, trace_for
from prizewire_contracts.encode import EncodedEvent, encode
from prizewire_contracts.envelope import CONTENT_TYPE, Envelope
from prizewire_contracts.traces import trace_id_of
from prizewire_contracts.trust import MessageKey

HEADERS = [("content-type", CONTENT_TYPE.encode())]
WAITING_COUNTED_MAX = 100_000
"""The gauge of waiting events counts no further: a higher number would only load a database that is slow already."""
EVENTS_KEPT: Final = timedelta(days=14)
"""The outbox keeps published events for this time."""
_BATCH = 500
_PURGE_ROWS = 5_000
_IDLE_S = 0.5
_SILENT_MAX_S = 30.0
"""How long the relay's connection may be idle, in seconds. PostgreSQL then closes it, and another process relays."""
_BACKOFF_MAX_S = 5.0
_log = get_logger(__name__)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Outbox:
    """Signs events and stores them in the caller's transaction.

    Call ``add`` after the aggregate's lock was taken, so that ids follow the aggregate's order.
    """

    def __init__(self, *, service: str, key: MessageKey, clock: Clock) -> None:
        self.service = service
        self._key = key
        self._clock = clock
        self._wake = asyncio.Event()

    def event(
        self,
        model: type[Envelope],
        data: BaseModel | Mapping[str, Any],
        *,
        subject: str,
        version: int,
        correlation_id: str,
        causation_id: str | None = None,
        follows: str | None = None,
    ) -> EncodedEvent:
        """The signed event ``version`` of ``subject``; see ``prizewire_contracts.encode.encode``.

        It continues the trace of its cause. ``follows`` is another correlation id, whose trace it continues instead: the first
        payout of a transaction to sign.
        """
        name_correlation(correlation_id)
        cause = None
        if follows is None:
            cause = trace_for(correlation_id=correlation_id, causation_id=causation_id)
        event = encode(
            model,
            data,
            service=self.service,
            subject=subject,
            version=version,
            correlation_id=correlation_id,
            causation_id=causation_id,
            now=self._clock.now(),
            key=self._key,
            traceparent=cause or derived(follows or correlation_id),
        )
        event.follows, event.traced = follows, cause is not None
        return event

    async def add(self, tx: AsyncConnection, events: Sequence[EncodedEvent]) -> None:
        """Store events in this order. The commit wakes the relay."""
        if not events:
            return
        now = self._clock.now()
        await continue_traces(tx, events, now=now)
        await later(
            tx,
            _INSERT,
            {
                "topics": [event.topic for event in events],
                "keys": [event.key for event in events],
                "values": [event.value for event in events],
                "ids": [event.event_id for event in events],
                "now": now,
            },
        )
        after_commit(tx, self.wake)
        if logging.getLogger(__name__).isEnabledFor(logging.INFO):
            after_commit(tx, partial(_log_recorded, list(events)))

    def wake(self) -> None:
        """Wake the relay of this process."""
        self._wake.set()

    async def waiting(self, *, timeout_s: float) -> None:
        """Return when woken, or after ``timeout_s``."""
        try:
            await asyncio.wait_for(self._wake.wait(), timeout=timeout_s)
        except TimeoutError:
            return
        finally:
            self._wake.clear()


def _log_recorded(events: Sequence[EncodedEvent]) -> None:
    for event in events:
        _log.info(
            "event recorded",
            type=event.kind,
            subject=event.subject,
            correlation_id=event.key.decode(),
            trace_id=None if event.traceparent is None else trace_id_of(event.traceparent),
        )


_INSERT = Write(
    "outbox",
    "INSERT INTO outbox (topic, key, value, event_id, created_at) "
    "SELECT u.topic, u.key, u.value, u.event_id, CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:topics AS text[]), CAST(:keys AS bytea[]), CAST(:values AS bytea[]), CAST(:ids AS text[])) "
    "WITH ORDINALITY AS u(topic, key, value, event_id, n) ORDER BY u.n RETURNING id",
    "INSERT INTO outbox_waiting (id) SELECT id FROM {0}",
)
# LATERAL with a LIMIT: for a plain join PostgreSQL may plan a scan of the whole outbox.
_TAKE = (
    "WITH next AS MATERIALIZED (SELECT id FROM outbox_waiting ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED), "
    "taken AS (DELETE FROM outbox_waiting w USING next WHERE w.id = next.id) "
    "SELECT o.id, o.topic, o.key, o.value, o.event_id FROM next "
    "CROSS JOIN LATERAL (SELECT * FROM outbox o WHERE o.id = next.id LIMIT 1) o ORDER BY o.id"
)
_PUT_BACK = "INSERT INTO outbox_waiting (id) SELECT unnest(CAST($1 AS bigint[]))"


class Relay:
    """Publishes the outbox. One relay runs for each database, by a session advisory lock on its own connection. It ends a
    batch at the first error, so that the order of a key is kept.
    """

    def __init__(self, *, db: Database, outbox: Outbox, producer: AIOKafkaProducer, clock: Clock) -> None:
        self._db = db
        self._outbox = outbox
        self._producer = producer
        self._clock = clock
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start relaying in a task."""
        self._task = asyncio.create_task(self._run(), name="outbox relay")

    async def stop(self, *, drain_s: float = 5.0) -> None:
        """Send the committed events, for at most ``drain_s`` seconds, then end."""
        self._stopping = True
        self._outbox.wake()
        if self._task is not None:
            try:
                await asyncio.wait_for(self._task, timeout=drain_s)
            except TimeoutError:
                _log.warning("outbox not drained in time; the next start sends the remaining events")

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._relay_on_own_connection()
                return
            except Exception as error:  # noqa: BLE001 - the relay retries after every error
                failures += 1
                kind = "transient" if is_transient(error) else "unexpected"
                _log.warning("relay interrupted", kind=kind, failures=failures, error=repr(error))
            if self._stopping:
                return
            await asyncio.sleep(min(_BACKOFF_MAX_S, 0.1 * 2.0 ** min(failures, 10)))

    async def _relay_on_own_connection(self) -> None:
        async with self._db.seeking.connect() as connection:
            try:
                await self._relay_on((await connection.get_raw_connection()).driver_connection)
            finally:
                # the advisory lock belongs to the session: a connection in the pool would keep holding it
                await connection.invalidate()

    async def _relay_on(self, connection: Connection) -> None:
        # a process that hangs between two batches must lose the lock
        await connection.execute(f"SET idle_session_timeout = {round(_SILENT_MAX_S * 1000)}")
        # This connection commits only which events were sent. If PostgreSQL crashes before such a commit is on disk, the
        # events are sent a second time, which has no effect.
        await connection.execute("SET synchronous_commit = off")
        while not await self._lock(connection):
            if self._stopping:
                return
            await self._outbox.waiting(timeout_s=1.0)
        while True:
            sent = await self._batch(connection)
            if sent:
                continue
            if self._stopping:
                return
            await self._outbox.waiting(timeout_s=_IDLE_S)

    async def _lock(self, connection: Connection) -> bool:
        return bool(await connection.fetchval("SELECT pg_try_advisory_lock(hashtext('prizewire.relay'))"))

    async def _batch(self, connection: Connection) -> int:
        async with connection.transaction():
            rows = await connection.fetch(_TAKE, _BATCH)
            if not rows:
                return 0
            results = await self._send(rows)
            failed = next((place for place, result in enumerate(results) if result is not None), None)
            if failed is not None:
                await connection.execute(_PUT_BACK, [row["id"] for row in rows[failed:]])
        RELAYED.inc(len(rows) if failed is None else failed)
        failure = None if failed is None else results[failed]
        if failed is not None and failure is not None:
            _report_not_sent(rows[failed], failure)
            raise failure
        OUTBOX_BLOCKED.set(0)
        return len(rows)

    async def _send(self, rows: Sequence[asyncpg.Record]) -> list[BaseException | None]:
        """The error of each row in its order, None where it was delivered. The list ends at a row that the producer refused."""
        sends = []
        refused: list[BaseException | None] = []
        for row in rows:
            try:
                sends.append(
                    await self._producer.send(
                        row["topic"], key=row["key"], value=row["value"], headers=HEADERS
                    )
                )
            except Exception as error:  # noqa: BLE001 - the rows before it are being sent
                refused = [error]
                break
        results = await asyncio.gather(*sends, return_exceptions=True)
        delivered = [result if isinstance(result, BaseException) else None for result in results]
        return delivered + refused


def _report_not_sent(row: asyncpg.Record, error: BaseException) -> None:
    """Log the event that all later ones wait for. An event that Kafka refuses permanently needs a person."""
    refused = isinstance(error, KafkaError) and (
        isinstance(error, UnknownTopicOrPartitionError) or not error.retriable
    )
    OUTBOX_BLOCKED.set(int(refused))
    _log.log(
        logging.ERROR if refused else logging.WARNING,
        "kafka refuses an event of the outbox; all later events wait until it is repaired"
        if refused
        else "event of the outbox not sent; it is retried",
        id=row["id"],
        topic=row["topic"],
        event_id=row["event_id"],
        bytes=len(row["value"]),
        error=repr(error),
    )


async def measure_waiting(db: Database, *, clock: Clock) -> bool:
    """Set the gauges of the waiting events and of the age of the oldest, also while a send hangs or another process relays."""
    async with db.transaction() as tx:
        found = (await tx.execute(_WAITING, {"most": WAITING_COUNTED_MAX})).one()
    OUTBOX_WAITING.set(found.waiting)
    OUTBOX_AGE.set(0 if found.oldest is None else max(0.0, (clock.now() - found.oldest).total_seconds()))
    return False


async def purge_published(db: Database, *, clock: Clock, keep: timedelta) -> bool:
    """Delete published rows that were recorded longer than ``keep`` ago. Returns whether there may be more of them.

    Ids rise with time, so it begins at the lowest id and ends at the first row that must stay. An index by time would cost
    a write for every event.
    """
    async with db.transaction() as tx:
        result = await tx.execute(_PURGE, {"before": clock.now() - keep, "rows": _PURGE_ROWS})
    return result.rowcount >= _PURGE_ROWS


_WAITING = text(
    "SELECT count(*) AS waiting, min(created_at) AS oldest FROM (SELECT o.created_at "
    "FROM outbox_waiting w JOIN outbox o ON o.id = w.id ORDER BY w.id LIMIT :most) w"
)
_PURGE = text(
    "DELETE FROM outbox WHERE id IN (SELECT id FROM (SELECT id, bool_and(created_at < :before AND NOT EXISTS "
    "(SELECT 1 FROM outbox_waiting w WHERE w.id = lowest.id)) OVER (ORDER BY id) AS done "
    "FROM (SELECT id, created_at FROM outbox ORDER BY id LIMIT :rows) lowest) walked WHERE done)"
)
