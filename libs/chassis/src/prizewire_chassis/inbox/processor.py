"""Processing batches from Kafka, replays of stuck messages, and events whose sender waits for the result."""

import asyncio
import hashlib
import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, after_commit, fetch, is_transient, later
from prizewire_chassis.inbox.admission import AdmissionFailed, admit
from prizewire_chassis.inbox.conflicts import record_conflicts
from prizewire_chassis.inbox.keeping import in_chunks, in_portions, kept_event, kept_message
from prizewire_chassis.inbox.outcome import BatchOutcome, report_outcome
from prizewire_chassis.inbox.statements import (
    INBOX_FORGET,
    INBOX_INSERT,
    OFFSETS,
    OFFSETS_BEGIN,
    OFFSETS_UPSERT,
    inbox_hashes,
)
from prizewire_chassis.inbox.stuck import CUT_REASONS, Stuck, record_stuck
from prizewire_chassis.inbox.traces import (
    batch_unit,
    correlation_of,
    may_name_trace,
    record_spans,
    traces_to_keep,
)
from prizewire_chassis.inbox.types import (
    OFFERED,
    ConsumerSpec,
    Incoming,
    Record,
    Refusal,
    Stopping,
    StoredOffset,
    Unreadable,
    VersionRule,
)
from prizewire_chassis.inbox.versions import check_versions, store_versions
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import BATCH_SECONDS, BATCH_SIZE, EVENTS, RETRIES
from prizewire_chassis.metrics.labels import EventOutcome, RetryKind
from prizewire_chassis.row_values import without_rows
from prizewire_chassis.tracing import keep_traces, running_unit
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.decode import MESSAGE_BYTES_MAX, EventRefused, decode
from prizewire_contracts.trust import TrustStore

_UNEXPECTED_TRIES = 3
_BACKOFF_MAX_S = 5.0
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _OfferedMessage:
    """A message that has no offset in Kafka."""

    topic: str
    value: bytes
    partition: int = -1
    offset: int = -1


class _Split(Exception):
    """A refused event has followers of its subject in the same transaction. The batch is applied again in two parts."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class BatchProcessor:
    """Applies batches for all consumers of a service."""

    def __init__(self, *, db: Database, trust: TrustStore, clock: Clock, audit: Audit | None = None) -> None:
        """``audit`` gets a record of events that contradict applied ones. Without it they are only stored as dead."""
        self._db = db
        self._audit = audit
        self._trust = trust
        self._clock = clock
        self._stopping = asyncio.Event()

    @property
    def trust(self) -> TrustStore:
        """The public keys of the producers."""
        return self._trust

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Make retries end with ``Stopping``. A running transaction is finished."""
        self._stopping.set()

    async def stored_offsets(
        self, spec: ConsumerSpec, partitions: Collection[int]
    ) -> dict[int, StoredOffset]:
        """The stored position in each of these partitions; partitions without one are left out."""
        names = {"consumer": spec.name, "topic": spec.topic.name, "partitions": sorted(partitions)}
        async with self._db.transaction() as tx:
            rows = await fetch(tx, OFFSETS, names)
        return {row.partition: StoredOffset(row.next_offset, row.last_hash) for row in rows}

    async def reset_offset(self, spec: ConsumerSpec, *, partition: int, offset: int) -> None:
        """Store ``offset`` as the next one of a partition, whatever was stored before."""
        row = {"consumer": spec.name, "topic": spec.topic.name, "partition": partition, "offset": offset}
        async with self._db.transaction() as tx:
            await tx.execute(OFFSETS_BEGIN, {**row, "now": self._clock.now()})

    async def process(self, spec: ConsumerSpec, records: Sequence[Record]) -> None:
        """Process ``records`` in their order. It returns when the outcome of each of them is committed.

        Raises:
            Stopping: the service shuts down while the database is unavailable. Some records may not have been applied.
        """
        started = time.perf_counter()
        BATCH_SIZE.labels(spec.name).observe(len(records))
        for portion in in_portions(records):
            for chunk in in_chunks([self._decode(spec, record) for record in portion]):
                with batch_unit(spec, chunk):
                    await self._apply_with_retry(spec, chunk)
        BATCH_SECONDS.labels(spec.name).observe(time.perf_counter() - started)

    def _decode(
        self, spec: ConsumerSpec, record: Record, *, bytes_max: int = MESSAGE_BYTES_MAX
    ) -> "Incoming | Stuck":
        if isinstance(record.value, Unreadable):
            unreadable = EventRefused(RefusalCode.BATCH_UNREADABLE, record.value.detail)
            return kept_message(spec, record, unreadable, trust=self._trust)
        try:
            found = decode(topic=spec.topic, value=record.value, trust=self._trust, bytes_max=bytes_max)
        except EventRefused as refused:
            return kept_message(spec, record, refused, trust=self._trust)
        except Exception as error:  # noqa: BLE001 - one message must not block its partition
            _log.exception("the decoder failed on a message", consumer=spec.name, offset=record.offset)
            broken = EventRefused(RefusalCode.HANDLER_ERROR, repr(error))
            return kept_message(spec, record, broken, trust=self._trust)
        return Incoming(
            found.event,
            found.raw,
            found.hash,
            record.topic,
            record.partition,
            record.offset,
            record.value or b"",
            traceparent=found.traceparent if may_name_trace(spec, found.event) else None,
        )

    async def _apply_with_retry(self, spec: ConsumerSpec, items: "Sequence[Incoming | Stuck]") -> None:
        transient = unexpected = 0
        while True:
            try:
                await self._apply(spec, items)
                return
            except _Split as split:
                await self._apply_with_retry(spec, items[: split.index + 1])
                items = items[split.index + 1 :]
                continue
            except Exception as error:  # noqa: BLE001 - a handler's error must not lose the batch
                if is_transient(error):
                    transient += 1
                    RETRIES.labels(spec.name, RetryKind.TRANSIENT).inc()
                    _log.warning(
                        "batch will be retried", consumer=spec.name, tries=transient, error=repr(error)
                    )
                elif unexpected + 1 < _UNEXPECTED_TRIES:
                    unexpected += 1
                    RETRIES.labels(spec.name, RetryKind.UNEXPECTED).inc()
                    _log.exception("batch failed", consumer=spec.name, tries=unexpected)
                else:
                    await self._quarantine(spec, items, error)
                    return
            pause_s = min(_BACKOFF_MAX_S, 0.05 * 2.0 ** min(transient + unexpected, 10))
            try:
                await asyncio.wait_for(self._stopping.wait(), timeout=pause_s * random.uniform(0.5, 1))  # noqa: S311 - jitter
            except TimeoutError:
                continue
            raise Stopping(spec.name)

    async def _quarantine(
        self, spec: ConsumerSpec, items: "Sequence[Incoming | Stuck]", error: Exception
    ) -> None:
        """Apply the events of a batch that keeps failing one by one, and store the event that fails as a stuck one. It is
        parked, or dead where its authenticity could not be checked.
        """
        if len(items) > 1:
            for item in items:
                await self._apply_with_retry(spec, [item])
            return
        item = items[0]
        if isinstance(item, Stuck):
            raise error
        park = not isinstance(error, AdmissionFailed)
        cause = error if park else error.__cause__
        _log.error(
            "event quarantined after repeated errors",
            consumer=spec.name,
            event_id=item.event.id,
            correlation_id=correlation_of(spec, item),
            error=repr(cause),
        )
        stuck = kept_event(
            spec, item, Refusal(RefusalCode.HANDLER_ERROR, without_rows(repr(cause))[:500], park=park)
        )
        await self._apply_with_retry(spec, [stuck])

    async def _apply(self, spec: ConsumerSpec, items: "Sequence[Incoming | Stuck]") -> None:
        outcome, unit, started_ns = BatchOutcome(), running_unit(), time.time_ns()
        async with self._db.transaction(seeking=True) as tx:
            await self._in_transaction(tx, spec, items, outcome)
            await self._store_offsets(tx, spec, items)
        report_outcome(spec, outcome, unit=unit)
        record_spans(spec, outcome, unit=unit, started_ns=started_ns)

    async def _in_transaction(
        self,
        tx: AsyncConnection,
        spec: ConsumerSpec,
        items: "Sequence[Incoming | Stuck]",
        outcome: BatchOutcome,
    ) -> dict[int, Refusal]:
        """Apply items and return the refusals by index. Batches, replays and offered events all take this path."""
        unit = running_unit()
        unit.kept = {}
        stuck: list[Stuck] = [item for item in items if isinstance(item, Stuck)]
        every = [(index, item) for index, item in enumerate(items) if isinstance(item, Incoming)]
        coming = [
            (index, item) for index, item in every if spec.concerns(item.event.type, source=item.event.source)
        ]
        for _ in range(len(every) - len(coming)):
            outcome.skip(EventOutcome.UNCONCERNED)
        admitted, refusals = await admit(tx, spec, coming, outcome)
        new = await self._deduplicate(tx, spec, admitted, refusals, outcome)
        fresh, versions = await check_versions(tx, spec, new, refusals, outcome)
        wanted = [
            (index, item) for index, item in fresh if spec.types is None or item.event.type in spec.types
        ]
        if wanted:
            answer = await spec.handler(tx, [item for _, item in wanted])
            for position, refusal in answer.items():
                refusals[wanted[position][0]] = refusal
        self._split_at_refusal(spec, new, fresh, refusals)
        applied = [(index, item) for index, item in fresh if index not in refusals]
        await store_versions(tx, spec, applied, versions)
        await self._remove_dead_from_inbox(tx, spec, items, refusals)
        for index, refusal in sorted(refusals.items()):
            item = items[index]
            if isinstance(item, Incoming) and item.replay_of is None:
                stuck.append(kept_event(spec, item, refusal))
        if stuck:
            stuck.sort(key=lambda entry: (entry.partition, entry.offset))
            await record_stuck(tx, stuck, now=self._clock.now())
        await record_conflicts(tx, self._audit, spec, items, refusals)
        outcome.stuck = stuck
        outcome.applied = [item for _, item in applied]
        await keep_traces(tx, unit.kept | traces_to_keep(spec, outcome.applied), now=self._clock.now())
        return refusals

    async def _deduplicate(
        self,
        tx: AsyncConnection,
        spec: ConsumerSpec,
        admitted: Sequence[tuple[int, Incoming]],
        refusals: dict[int, Refusal],
        outcome: BatchOutcome,
    ) -> list[tuple[int, Incoming]]:
        unique: dict[tuple[str, str], tuple[int, Incoming]] = {}
        for index, item in admitted:
            unique.setdefault(item.key, (index, item))
        if not unique:
            return []
        keys = sorted(unique)
        inserted = await fetch(
            tx,
            INBOX_INSERT,
            {
                "consumer": spec.name,
                "sources": [source for source, _ in keys],
                "ids": [event_id for _, event_id in keys],
                "hashes": [unique[key][1].hash for key in keys],
                "now": self._clock.now(),
            },
        )
        new = {(row.source, row.event_id) for row in inserted}
        seen: dict[tuple[str, str], bytes] = {}
        if len(new) < len(keys):
            seen = await inbox_hashes(tx, consumer=spec.name, keys=[key for key in keys if key not in new])
        fresh: list[tuple[int, Incoming]] = []
        for index, item in admitted:
            first, original = unique[item.key]
            known = seen.get(item.key)
            if item.hash != (known if known is not None else original.hash):
                refusals[index] = Refusal(RefusalCode.ID_CONFLICT, "this id was used for another event")
            elif index == first and (known is None or item.replay_of == "parked"):
                fresh.append((index, item))
            else:
                outcome.skip(EventOutcome.DUPLICATE)
        return fresh

    def _split_at_refusal(
        self,
        spec: ConsumerSpec,
        new: list[tuple[int, Incoming]],
        fresh: list[tuple[int, Incoming]],
        refusals: dict[int, Refusal],
    ) -> None:
        """Raise ``_Split`` where the handler got events of a subject together with an earlier one that it refused: the later
        ones must not be applied. The same holds for a ``new`` event that did not reach the handler because the refused one had
        its version.
        """
        handled = {index for index, _ in fresh}
        broken: dict[tuple[str, str], int] = {}
        for index, item in new:
            subject = (item.event.source, item.event.subject)
            refusal = refusals.get(index)
            contradicts = refusal is not None and refusal.code is RefusalCode.VERSION_CONFLICT
            if index not in handled and not contradicts:
                continue
            if subject in broken:
                raise _Split(broken[subject])
            if index not in handled:
                continue
            ordered = spec.version_rule(item.event.type) is VersionRule.STRICT
            if refusal is not None and (refusal.park or ordered):
                broken[subject] = index

    async def _remove_dead_from_inbox(
        self,
        tx: AsyncConnection,
        spec: ConsumerSpec,
        items: "Sequence[Incoming | Stuck]",
        refusals: Mapping[int, Refusal],
    ) -> None:
        """Remove dead events from the inbox. Otherwise a forged event could block the id of an authentic one."""
        dead = [
            item
            for index, refusal in refusals.items()
            if not refusal.park
            and refusal.code is not RefusalCode.ID_CONFLICT
            and isinstance(item := items[index], Incoming)
        ]
        if dead:
            await tx.execute(
                INBOX_FORGET,
                {
                    "consumer": spec.name,
                    "sources": [item.event.source for item in dead],
                    "ids": [item.event.id for item in dead],
                    "hashes": [item.hash for item in dead],
                },
            )

    async def _store_offsets(
        self, tx: AsyncConnection, spec: ConsumerSpec, items: "Sequence[Incoming | Stuck]"
    ) -> None:
        reached: dict[tuple[str, int], Incoming | Stuck] = {}
        for item in items:
            place = (item.topic, item.partition)
            if place not in reached or reached[place].offset < item.offset:
                reached[place] = item
        ordered = sorted(reached)
        await later(
            tx,
            OFFSETS_UPSERT,
            {
                "consumer": spec.name,
                "topics": [topic for topic, _ in ordered],
                "partitions": [partition for _, partition in ordered],
                "offsets": [reached[place].offset + 1 for place in ordered],
                "hashes": [hashlib.sha256(reached[place].value).digest() for place in ordered],
                "now": self._clock.now(),
            },
        )

    def read(
        self, spec: ConsumerSpec, value: bytes, *, bytes_max: int = MESSAGE_BYTES_MAX
    ) -> Incoming | Refusal:
        """Decode a message that did not come from Kafka. It may have at most ``bytes_max`` bytes. Returns the refusal where
        it cannot be decoded or authenticated.
        """
        item = self._decode(spec, _OfferedMessage(spec.topic.name, value), bytes_max=bytes_max)
        if isinstance(item, Stuck):
            return Refusal(RefusalCode(item.reason), item.detail)
        return replace(item, replay_of=OFFERED)

    async def offer(self, tx: AsyncConnection, spec: ConsumerSpec, incoming: Incoming) -> Refusal | None:
        """Apply an event from ``read`` in the caller's transaction, by the same path as messages from Kafka.

        Returns None where it was applied or had no effect. Otherwise it returns the reason, and the caller must roll back:
        a refused event is reported to its sender and not stored.
        """
        with batch_unit(spec, [incoming]):
            refusal = (await self._in_transaction(tx, spec, [incoming], BatchOutcome())).get(0)
        after_commit(tx, EVENTS.labels(spec.name, EventOutcome.OFFERED).inc)
        return refusal

    async def replay(self, tx: AsyncConnection, spec: ConsumerSpec, entry: Stuck) -> Refusal | None:
        """Apply a stuck message again by the same path, in the caller's transaction.

        Returns None where it was applied or had no effect, else the reason why it is still stuck.
        """
        if entry.reason in CUT_REASONS:
            return Refusal(RefusalCode(entry.reason), entry.detail, park=entry.state == "parked")
        item = self._decode(spec, entry)
        if isinstance(item, Stuck):
            return Refusal(RefusalCode(item.reason), item.detail, park=item.state == "parked")
        item = replace(item, replay_of=entry.state)
        with batch_unit(spec, [item]):
            refusal = (await self._in_transaction(tx, spec, [item], BatchOutcome())).get(0)
        became = EventOutcome.REPLAYED if refusal is None else EventOutcome.REPLAY_REFUSED
        EVENTS.labels(spec.name, became).inc()
        return refusal
