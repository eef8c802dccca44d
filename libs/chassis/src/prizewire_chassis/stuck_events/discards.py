"""Discarding a stuck event for good: a person's decision with a reason. The later events of its subject are then applied.

The discarded event stays stored. Its version counts as applied, so that the events behind it do not wait for a gap. This
holds for a parked event, and for a dead event that its producer signed and that has the next version.

A consumer whose events are a chain (``ConsumerSpec.chained``) leaves none out. There the version does not count as applied, and
the id of the discarded event is free again, so that a forged event does not keep out the genuine one.
"""

from dataclasses import dataclass

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import VersionRule
from prizewire_chassis.inbox.statements import INBOX_FORGET
from prizewire_chassis.metrics import DISCARDED
from prizewire_chassis.stuck_events.replays import ID_MAX, NotReplayable, ReplayRecorder, StuckEvents
from prizewire_contracts.decode import event_hash, signed_position
from prizewire_contracts.money_events import holds_money


@dataclass(frozen=True, slots=True)
class DiscardAnswer:
    """The result of discarding a stuck event.

    ``holds_money``: money may wait for events of its type, see ``prizewire_contracts.money_events``. ``type``, ``subject``
    and ``correlation_id`` are those of the event, None where they cannot be read. ``versions_skipped``: how many earlier
    versions had not arrived; they will be ignored. ``released``: how many events behind it were applied.
    """

    state: str
    type: str | None
    subject: str | None
    correlation_id: str | None
    holds_money: bool
    versions_skipped: int
    released: int


class Discards:
    """Discards stuck events."""

    def __init__(self, *, stuck: StuckEvents, audit: Audit) -> None:
        self._stuck = stuck
        self._audit = audit

    async def discard(
        self, stuck_id: int, *, actor: str, reason: str, may_hold_money: bool, record: ReplayRecorder
    ) -> DiscardAnswer:
        """Discard one event with an audit record in the same transaction, then apply the events that waited behind it.
        ``record`` records each of those. ``may_hold_money``: the caller may discard events that money may wait for.

        Raises:
            NotReplayable: ``not_found``, ``already_replayed``, ``already_discarded``, ``not_head`` or ``admin_needed``.
        """
        if stuck_id > ID_MAX:
            raise NotReplayable("not_found")
        async with self._stuck.db.transaction() as tx:
            row = await self._locked(tx, stuck_id)
            money = holds_money(row.type)
            key, skipped = await self._go_past(tx, row)
            if (money or skipped) and not may_hold_money:
                raise NotReplayable("admin_needed")
            values = {"id": stuck_id, "now": self._stuck.clock.now(), "actor": actor, "reason": reason}
            await tx.execute(_DISCARD, values)
            await self._audit.record(
                tx,
                actor=actor,
                action="stuck_event.discarded",
                target=str(stuck_id),
                reason=reason,
                detail={
                    "was": row.state,
                    "stuck_reason": row.reason,
                    "consumer": row.consumer,
                    "event_id": row.event_id,
                    "type": row.type,
                    "subject": row.subject,
                    "holds_money": money,
                    "versions_skipped": skipped,
                },
                correlation_id=row.correlation_id,
            )
            after_commit(tx, DISCARDED.labels(row.consumer, str(money).lower()).inc)
        released = 0 if key is None else await self._stuck.release_behind(key, actor=actor, record=record)
        return DiscardAnswer(
            state="discarded",
            type=row.type,
            subject=row.subject,
            correlation_id=row.correlation_id,
            holds_money=money,
            versions_skipped=skipped,
            released=released,
        )

    async def _locked(self, tx: AsyncConnection, stuck_id: int) -> Row[tuple[object, ...]]:
        row = (await tx.execute(_LOCK, {"id": stuck_id})).one_or_none()
        if row is None:
            raise NotReplayable("not_found")
        if row.state in ("replayed", "discarded"):
            raise NotReplayable(f"already_{row.state}")
        if row.state == "parked":
            key = {"consumer": row.consumer, "source": row.source, "subject": row.subject}
            head = (await tx.execute(_HEAD, key)).scalar_one()
            if head != stuck_id:
                raise NotReplayable("not_head", head)
        return row

    async def _go_past(
        self, tx: AsyncConnection, row: Row[tuple[object, ...]]
    ) -> tuple[tuple[str, str, str] | None, int]:
        """Count the event's version as applied, or free its id where the consumer's events are a chain. Returns the (consumer,
        source, subject) whose parked events may be applied now, and how many earlier versions are missing.
        """
        spec = self._stuck.specs.get(row.consumer)
        if spec is None:
            return None, 0
        if spec.chained:
            await _free_id(tx, row)
            return ((row.consumer, row.source, row.subject) if row.state == "parked" else None), 0
        kind, source, subject, version = row.type, row.source, row.subject, row.version
        if row.state == "dead":
            place = signed_position(
                topic=spec.topic, value=bytes(row.value), trust=self._stuck.processor.trust
            )
            if place is None:
                return None, 0
            kind, source, subject, version = place
        key = (row.consumer, source, subject)
        if spec.version_rule(kind) is VersionRule.NONE or version is None:
            return (key if row.state == "parked" else None), 0
        names = {"consumer": row.consumer, "source": source, "subject": subject}
        current = (await tx.execute(_VERSION, names)).scalar_one_or_none() or 0
        if row.state == "dead" and version != current + 1:
            return None, 0
        if version > current:
            await tx.execute(_ADVANCE, {**names, "version": version})
        strict = spec.version_rule(kind) is VersionRule.STRICT
        return key, max(0, version - current - 1) if strict else 0


async def _free_id(tx: AsyncConnection, row: Row[tuple[object, ...]]) -> None:
    """Remove a parked event from the inbox, if the inbox holds this event under its id. ``inbox_forget`` compares the hash and
    refuses events that are not parked.
    """
    found = event_hash(bytes(row.value))
    if row.state == "parked" and found is not None:
        names = {"sources": [row.source], "ids": [row.event_id], "hashes": [found]}
        await tx.execute(INBOX_FORGET, {"consumer": row.consumer, **names})


_LOCK = text("SELECT * FROM stuck_events WHERE id = :id FOR UPDATE")
_HEAD = text(
    "SELECT min(id) FROM stuck_events WHERE state = 'parked' AND consumer = :consumer AND source = :source "
    "AND subject = :subject"
)
_DISCARD = text(
    "UPDATE stuck_events SET state = 'discarded', discarded_at = :now, discarded_by = :actor, "
    "discard_reason = :reason WHERE id = :id"
)
_VERSION = text(
    "SELECT version FROM applied_versions WHERE consumer = :consumer AND source = :source AND subject = :subject "
    "FOR UPDATE"
)
_ADVANCE = text(
    "INSERT INTO applied_versions (consumer, source, subject, version) "
    "VALUES (:consumer, :source, :subject, :version) ON CONFLICT (consumer, source, subject) "
    "DO UPDATE SET version = excluded.version WHERE applied_versions.version < excluded.version"
)
