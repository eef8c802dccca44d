"""The audit chain: every admin and security action as a row that holds the hash of the row before."""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit.links import GENESIS, link_hash
from prizewire_chassis.audit.reading import NewestKnown
from prizewire_chassis.clock import Clock
from prizewire_chassis.logging import get_logger
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.problems import Problem
from prizewire_contracts.encode import source_of
from prizewire_contracts.events.audit import AuditRecorded, AuditRecordedEvent
from prizewire_contracts.ids import derive, event_id
from prizewire_contracts.text import LINE_LENGTH_MAX, printable

_log = get_logger(__name__)

SEQUENCE_MAX: Final = 2**31 - 1
"""The number of a record is the version of its event, which is no greater."""
_HASH: Final = re.compile(r"[0-9a-f]{64}")


def _hashed(record: Mapping[str, Any]) -> AuditRecorded:
    """A record with its hash, which is the one that readers of the topic compute."""
    bare = AuditRecorded.model_validate({**record, "hash": GENESIS})
    return bare.model_copy(update={"hash": link_hash(bare.model_dump(mode="json"))})


class Audit:
    """Appends to a service's chain and publishes ``audit.recorded`` in the same transaction."""

    def __init__(self, *, service: str, outbox: Outbox, clock: Clock) -> None:
        self._service = service
        self._outbox = outbox
        self._clock = clock

    async def record(
        self,
        tx: AsyncConnection,
        *,
        actor: str,
        action: str,
        target: str,
        reason: str | None = None,
        detail: Mapping[str, Any] | None = None,
        correlation_id: str | None = None,
    ) -> None:
        """Add one record. ``detail`` is JSON without floats, secrets or personal payout details. In the other texts
        characters that cannot be printed are replaced: an action must not fail because of its record.

        The records of one service are written one after the other (a transaction lock), so that the chain has no fork. Call
        it late in the transaction.

        Raises:
            Problem: ``audit_chain_broken`` (503): the outbox holds the event of a record that is newer than the newest of
                the table, or no record can follow the newest one. Nothing that is audited can be done until a person with
                the login of the tables' owner has repaired the chain.
        """
        await tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('prizewire.audit'))"))
        last = (await tx.execute(_LAST)).one_or_none()
        if last is not None and not _can_be_followed(last.sequence, last.hash):
            _log.error("audit chain broken", unusable=last.sequence, action=action, actor=actor)
            raise Problem(
                status=503,
                code="audit_chain_broken",
                detail=f"no audit record can follow record {last.sequence}, which this service did not write: its number or "
                "its hash is none. The owner of the tables has to remove it before anything that is audited is done",
            )
        sequence = 1 if last is None else last.sequence + 1
        if await _published(tx, service=self._service, sequence=sequence):
            _log.error("audit chain broken", missing=sequence, action=action, actor=actor)
            raise Problem(
                status=503,
                code="audit_chain_broken",
                detail=f"audit record {sequence} is missing from the database, although it was published: restore it from a "
                "backup or from the topic of audit records before anything that is audited is done",
            )
        correlation = correlation_id or str(derive("audit", self._service))
        now = self._clock.now()
        record: dict[str, Any] = {
            "service": self._service,
            "sequence": sequence,
            "at": now,
            "actor": printable(actor, length_max=LINE_LENGTH_MAX),
            "action": action,
            "target": printable(target),
            "reason": None if not reason else printable(reason),
            "detail": orjson.loads(orjson.dumps(dict(detail or {}))),
            "correlation_id": correlation,
            "prev_hash": GENESIS if last is None else last.hash,
        }
        link = _hashed(record)
        await tx.execute(
            _APPEND,
            {
                "sequence": sequence,
                "at": now,
                "actor": record["actor"],
                "action": action,
                "target": record["target"],
                "reason": record["reason"],
                "detail": _json(record["detail"]),
                "correlation_id": correlation,
                "prev_hash": record["prev_hash"],
                "hash": link.hash,
            },
        )
        event = self._outbox.event(
            AuditRecordedEvent,
            link,
            subject=self._service,
            version=sequence,
            correlation_id=correlation,
        )
        await self._outbox.add(tx, [event])


def _can_be_followed(sequence: int, link: str) -> bool:
    """Whether the next record can have a number, and name this one's hash. The database refuses other rows; one may be older
    than the trigger that does so.
    """
    return 1 <= sequence < SEQUENCE_MAX and _HASH.fullmatch(link) is not None


async def verify_chain(tx: AsyncConnection, *, service: str) -> list[str]:
    """Breaches of the chain: a changed row, a missing row, a fork. Empty when the chain is complete.

    No later record refers to the newest one. Where it was deleted, its event in the outbox shows it, for as long as the
    outbox keeps published events.
    """
    breaches: list[str] = []
    previous = GENESIS
    expected = 1
    rows = await tx.stream(_CHAIN)
    async for row in rows:
        if (
            row.sequence != expected
            or row.prev_hash != previous
            or row.hash != _hash_of(row, service=service)
        ):
            breaches.append(f"audit record {row.sequence} breaks the chain")
        previous, expected = row.hash, row.sequence + 1
    if expected <= SEQUENCE_MAX and await _missing(tx, service=service, sequence=expected):
        breaches.append(
            f"audit record {expected} is missing at the end of the chain, although it was published"
        )
    return breaches


def _hash_of(row: Row[Any], *, service: str) -> str | None:
    """The hash that a row of the chain should have; None where it is no record that a service writes."""
    try:
        return _hashed(
            {
                "service": service,
                "sequence": row.sequence,
                "at": row.at,
                "actor": row.actor,
                "action": row.action,
                "target": row.target,
                "reason": row.reason,
                "detail": orjson.loads(row.detail),
                "correlation_id": row.correlation_id,
                "prev_hash": row.prev_hash,
            }
        ).hash
    except ValueError:
        return None


async def _published(tx: AsyncConnection, *, service: str, sequence: int) -> bool:
    """Whether the outbox holds the event of a record."""
    return (await tx.execute(_EVENT, {"id": _event_of(service, sequence)})).one_or_none() is not None


async def _missing(tx: AsyncConnection, *, service: str, sequence: int) -> bool:
    """Whether the outbox holds the event of a record that the table has not. One statement sees both, since the record may have
    been written after the chain was read.
    """
    found = await tx.execute(_EVENT_ALONE, {"id": _event_of(service, sequence), "sequence": sequence})
    return found.one_or_none() is not None


def newest_published(service: str) -> NewestKnown:
    """Reads the greatest number of a record of this service whose event follows the newest record in the outbox without a gap."""

    async def read(tx: AsyncConnection, sequence: int) -> int:
        newest = sequence
        while newest < SEQUENCE_MAX and await _published(tx, service=service, sequence=newest + 1):
            newest += 1
        return newest

    return read


def _event_of(service: str, sequence: int) -> str:
    return str(event_id(source=source_of(service), subject=service, version=sequence, kind=_KIND))


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()


_LAST = text("SELECT sequence, hash FROM audit_log ORDER BY sequence DESC LIMIT 1")
# The driver raises at some values that a row may have which the service did not write: JSON that is nested deeply, and a
# time that Python has not.
_CHAIN = text(
    "SELECT sequence, CASE WHEN at > '0002-01-01 Z' AND at < '9999-01-01 Z' THEN at END AS at, actor, action, target, "
    "reason, CAST(detail AS text) AS detail, correlation_id, prev_hash, hash FROM audit_log ORDER BY sequence"
)
_KIND: str = AuditRecordedEvent.model_fields["type"].default
_EVENT = text("SELECT 1 FROM outbox WHERE event_id = :id")
_EVENT_ALONE = text(
    "SELECT 1 FROM outbox WHERE event_id = :id AND NOT EXISTS (SELECT FROM audit_log WHERE sequence = :sequence)"
)
_APPEND = text(
    "INSERT INTO audit_log (sequence, at, actor, action, target, reason, detail, correlation_id, prev_hash, hash) "
    "VALUES (:sequence, :at, :actor, :action, :target, :reason, CAST(:detail AS jsonb), :correlation_id, "
    ":prev_hash, :hash)"
)
