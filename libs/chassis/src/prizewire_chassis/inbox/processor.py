"""Taking in batches: live from Kafka, and again from the stuck events."""

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
from prizewire_chassis.inbox.statements import (
    INBOX_FORGET,
    INBOX_INSERT,
    OFFSETS,
    OFFSETS_BEGIN,
    OFFSETS_UPSERT,
    inbox_hashes,
)
from prizewire_chassis.inbox.stuck import CUT_REASONS, Stuck, record_stuck
from prizewire_chassis.inbox.taken import Taken, tell
from prizewire_chassis.inbox.types import (
    OFFERED,
    ConsumerSpec,
    Incoming,
    Reached,
    Record,
    Refusal,
    Stopping,
    Unreadable,
    VersionRule,
)
from prizewire_chassis.inbox.versions import check_versions, store_versions
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import BATCH_SECONDS, BATCH_SIZE, EVENTS, RETRIES
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.decode import MESSAGE_BYTES_MAX, EventRefused, decode
from prizewire_contracts.trust import TrustStore

_UNEXPECTED_TRIES = 3
_BACKOFF_MAX_S = 5.0
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Handed:
    """A message without a place in Kafka."""

    topic: str
    value: bytes
    partition: int = -1
    offset: int = -1


class _Split(Exception):
    """A refused event has followers of its subject in the same transaction: apply up to it, then go on."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class BatchProcessor:
    """Applies batches for all consumers of a service."""

    def __init__(self, *, db: Database, trust: TrustStore, clock: Clock, audit: Audit | None = None) -> None:
        """``audit`` takes a record of events that contradict what was applied; without it they are only kept as dead."""
        self._db = db
        self._audit = audit
        self._trust = trust
        self._clock = clock
        self._stopping = asyncio.Event()

    @property
    def trust(self) -> TrustStore:
        """The keys that vouch for producers."""
        return self._trust

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Make retries give up with ``Stopping``; a transaction under way is finished."""
        self._stopping.set()

    async def reached(self, spec: ConsumerSpec, partitions: Collection[int]) -> dict[int, Reached]:
        """How far each of these partitions was taken in; one of which nothing was is left out."""
        names = {"consumer": spec.name, "topic": spec.topic.name, "partitions": sorted(partitions)}
        async with self._db.transaction() as tx:
            rows = await fetch(tx, OFFSETS, names)
        return {row.partition: Reached(row.next_offset, row.last_hash) for row in rows}

    async def begin_again(self, spec: ConsumerSpec, *, partition: int, offset: int) -> None:
        """Store that a partition is read from ``offset`` on, whatever was stored before."""
        row = {"consumer": spec.name, "topic": spec.topic.name, "partition": partition, "offset": offset}
        async with self._db.transaction() as tx:
            await tx.execute(OFFSETS_BEGIN, {**row, "now": self._clock.now()})

    async def process(self, spec: ConsumerSpec, records: Sequence[Record]) -> None:
        """Take in ``records``, in their order; returns when all of them are durable in one of their four ends.

        Raises:
            Stopping: the service shuts down while the database is away; nothing was applied for certain.
        """
        started = time.perf_counter()
        BATCH_SIZE.labels(spec.name).observe(len(records))
        for portion in in_portions(records):
            for chunk in in_chunks([self._decode(spec, record) for record in portion]):
                await self._insist(spec, chunk)
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
        except Exception as error:  # noqa: BLE001 - one message must not stop its partition for ever
            _log.exception("message broke the decoder", consumer=spec.name, offset=record.offset)
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
        )

    async def _insist(self, spec: ConsumerSpec, items: "Sequence[Incoming | Stuck]") -> None:
        transient = unexpected = 0
        while True:
            try:
                await self._apply(spec, items)
                return
            except _Split as split:
                await self._insist(spec, items[: split.index + 1])
                items = items[split.index + 1 :]
                continue
            except Exception as error:  # noqa: BLE001 - nothing that a handler raises may lose the batch
                if is_transient(error):
                    transient += 1
                    RETRIES.labels(spec.name, "transient").inc()
                    _log.warning(
                        "batch will be retried", consumer=spec.name, tries=transient, error=repr(error)
                    )
                elif unexpected + 1 < _UNEXPECTED_TRIES:
                    unexpected += 1
                    RETRIES.labels(spec.name, "unexpected").inc()
                    _log.exception("batch failed", consumer=spec.name, tries=unexpected)
                else:
                    await self._isolate(spec, items, error)
                    return
            pause_s = min(_BACKOFF_MAX_S, 0.05 * 2.0 ** min(transient + unexpected, 10))
            try:
                await asyncio.wait_for(self._stopping.wait(), timeout=pause_s * random.uniform(0.5, 1))  # noqa: S311 - jitter
            except TimeoutError:
                continue
            raise Stopping(spec.name)

    async def _isolate(
        self, spec: ConsumerSpec, items: "Sequence[Incoming | Stuck]", error: Exception
    ) -> None:
        """A batch keeps failing: find the poisonous event by taking them one by one, and set it aside: parked, or dead
        where not even its authenticity could be judged.
        """
        if len(items) > 1:
            for item in items:
                await self._insist(spec, [item])
            return
        item = items[0]
        if isinstance(item, Stuck):
            raise error
        park = not isinstance(error, AdmissionFailed)
        cause = error if park else error.__cause__
        _log.error("event set aside", consumer=spec.name, event_id=item.event.id, error=repr(cause))
        stuck = kept_event(spec, item, Refusal(RefusalCode.HANDLER_ERROR, repr(cause)[:500], park=park))
        await self._insist(spec, [stuck])

    async def _apply(self, spec: ConsumerSpec, items: "Sequence[Incoming | Stuck]") -> None:
        taken = Taken()
        async with self._db.transaction(seeking=True) as tx:
            await self._in_transaction(tx, spec, items, taken)
            await self._store_offsets(tx, spec, items)
        tell(spec, taken)

    async def _in_transaction(
        self,
        tx: AsyncConnection,
        spec: ConsumerSpec,
        items: "Sequence[Incoming | Stuck]",
        taken: Taken,
    ) -> dict[int, Refusal]:
        """Apply items; answers the refusals by index. The same path serves live batches and replays."""
        stuck: list[Stuck] = [item for item in items if isinstance(item, Stuck)]
        every = [(index, item) for index, item in enumerate(items) if isinstance(item, Incoming)]
        coming = [(index, item) for index, item in every if spec.concerns(item.event.type)]
        for _ in range(len(every) - len(coming)):
            taken.skip("unconcerned")
        admitted, refusals = await admit(tx, spec, coming, taken)
        fresh = await self._deduplicate(tx, spec, admitted, refusals, taken)
        fresh, versions = await check_versions(tx, spec, fresh, refusals, taken)
        wanted = [
            (index, item) for index, item in fresh if spec.types is None or item.event.type in spec.types
        ]
        if wanted:
            answer = await spec.handler(tx, [item for _, item in wanted])
            for position, refusal in answer.items():
                refusals[wanted[position][0]] = refusal
        self._split_at_refusal(spec, fresh, refusals)
        applied = [(index, item) for index, item in fresh if index not in refusals]
        await store_versions(tx, spec, applied, versions)
        await self._forget(tx, spec, items, refusals)
        for index, refusal in sorted(refusals.items()):
            item = items[index]
            if isinstance(item, Incoming) and item.replay_of is None:
                stuck.append(kept_event(spec, item, refusal))
        if stuck:
            stuck.sort(key=lambda entry: (entry.partition, entry.offset))
            await record_stuck(tx, stuck, now=self._clock.now())
        await record_conflicts(tx, self._audit, spec, items, refusals)
        taken.stuck = stuck
        taken.applied = [item for _, item in applied]
        return refusals

    async def _deduplicate(
        self,
        tx: AsyncConnection,
        spec: ConsumerSpec,
        admitted: Sequence[tuple[int, Incoming]],
        refusals: dict[int, Refusal],
        taken: Taken,
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
                taken.skip("duplicate")
        return fresh

    def _split_at_refusal(
        self,
        spec: ConsumerSpec,
        fresh: list[tuple[int, Incoming]],
        refusals: dict[int, Refusal],
    ) -> None:
        """The handler saw followers of an event that it refused: they must not have been applied."""
        broken: dict[tuple[str, str], int] = {}
        for index, item in fresh:
            subject = (item.event.source, item.event.subject)
            refusal = refusals.get(index)
            if subject in broken:
                raise _Split(broken[subject])
            ordered = spec.version_rule(item.event.type) is VersionRule.STRICT
            if refusal is not None and (refusal.park or ordered):
                broken[subject] = index

    async def _forget(
        self,
        tx: AsyncConnection,
        spec: ConsumerSpec,
        items: "Sequence[Incoming | Stuck]",
        refusals: Mapping[int, Refusal],
    ) -> None:
        """A dead event leaves no trace in the inbox: else a forger could use up the id of an honest one."""
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
        """A message that did not come from Kafka, decoded as if it had; or why it is none. It may have ``bytes_max``
        bytes.
        """
        item = self._decode(spec, _Handed(spec.topic.name, value), bytes_max=bytes_max)
        if isinstance(item, Stuck):
            return Refusal(RefusalCode(item.reason), item.detail)
        return replace(item, replay_of=OFFERED)

    async def offer(self, tx: AsyncConnection, spec: ConsumerSpec, incoming: Incoming) -> Refusal | None:
        """Take in what ``read`` answered, in the caller's transaction, by the same path as messages of Kafka.

        Answers None when it was applied or turned out to be without effect. Otherwise the reason, and the caller rolls
        back: nothing is kept of what its sender is told of.
        """
        refusals = await self._in_transaction(tx, spec, [incoming], Taken())
        refusal = refusals.get(0)
        after_commit(tx, EVENTS.labels(spec.name, "offered").inc)
        return refusal

    async def replay(self, tx: AsyncConnection, spec: ConsumerSpec, entry: Stuck) -> Refusal | None:
        """Send a stuck message through the same path again, in the caller's transaction.

        Answers None when it was applied or turned out to be without effect, else why it is stuck still.
        """
        if entry.reason in CUT_REASONS:
            return Refusal(RefusalCode(entry.reason), entry.detail, park=entry.state == "parked")
        item = self._decode(spec, entry)
        if isinstance(item, Stuck):
            return Refusal(RefusalCode(item.reason), item.detail, park=item.state == "parked")
        refusals = await self._in_transaction(tx, spec, [replace(item, replay_of=entry.state)], Taken())
        refusal = refusals.get(0)
        EVENTS.labels(spec.name, "replayed" if refusal is None else "replay_refused").inc()
        return refusal
