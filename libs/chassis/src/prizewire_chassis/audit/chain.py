"""The audit chain: every admin and security action as a row that holds the hash of the row before."""

import re
from collections.abc import Mapping, Set
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit.links import GENESIS, link_hash
from prizewire_chassis.audit.published import (
    CHUNK,
    SEQUENCE_MAX,
    SURELY_KEPT,
    is_published,
    newest_in_outbox,
    published_before,
)
from prizewire_chassis.audit.reading import NewestKnown, no_correlation
from prizewire_chassis.clock import Clock
from prizewire_chassis.logging import get_logger
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.problems import Problem
from prizewire_contracts.events.audit import AuditRecorded, AuditRecordedEvent
from prizewire_contracts.text import LINE_LENGTH_MAX, printable
from prizewire_contracts.trust import TrustStore

_log = get_logger(__name__)

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
        if await is_published(tx, service=self._service, sequence=sequence):
            _log.error("audit chain broken", missing=sequence, action=action, actor=actor)
            raise Problem(
                status=503,
                code="audit_chain_broken",
                detail=f"audit record {sequence} is missing from the database, although it was published: restore it from a "
                "backup or from the topic of audit records before anything that is audited is done",
            )
        correlation = correlation_id or no_correlation(self._service)
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


async def verify_chain(
    tx: AsyncConnection, *, service: str, trust: TrustStore | None = None, clock: Clock | None = None
) -> list[str]:
    """Breaches of the chain: a changed row, a missing row, a fork, a row that is not the record which was published, and a row
    that was not published. Empty when the chain is complete.

    The links do not show that the newest records were deleted, that all records from one on were rewritten, or that a record
    was added at the end. The events in the outbox show all three, for as long as the outbox keeps them. With a ``trust`` store
    their signatures are checked. With a ``clock`` each record that is younger than ``SURELY_KEPT`` must have its event: the
    service's login can delete the events of older records, too, so that a record without an event is not above any.
    """
    breaches: list[str] = []
    named: set[int] = set()
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
            named.add(row.sequence)
        previous, expected = row.hash, row.sequence + 1
    newest = min(expected - 1, SEQUENCE_MAX)
    since = None if clock is None else clock.now() - SURELY_KEPT
    breaches += await _other_than_published(
        tx, service=service, newest=newest, trust=trust, named=named, since=since
    )
    published = await newest_in_outbox(tx, service=service, sequence=newest)
    if published > newest and not await _written_since(tx, published):
        one = f"audit record {expected} is missing at the end of the chain, although it was published"
        many = f"audit records {expected} to {published} are missing at the end of the chain, although they were published"
        breaches.append(one if published == expected else many)
    return breaches


async def _other_than_published(
    tx: AsyncConnection,
    *,
    service: str,
    newest: int,
    trust: TrustStore | None,
    named: Set[int],
    since: datetime | None,
) -> list[str]:
    """Records that have another hash than their events in the outbox, and records without an event above one that has its own,
    or written after ``since``. Records in ``named`` need no second breach.
    """
    breaches: list[str] = []
    while newest > 0:
        part = await published_before(tx, service=service, newest=newest, limit=CHUNK, trust=trust)
        if not part:
            break
        first = part[-1].sequence
        range_of = {"first": first, "last": newest}
        hashes = {row.sequence: row.hash for row in await tx.execute(_HASHES, range_of)}
        for one in reversed(part):
            if one.forged:
                breaches.append(
                    f"the event of audit record {one.sequence} in the outbox does not have the signature of {service}"
                )
            elif hashes.get(one.sequence, one.hash) != one.hash:
                breaches.append(f"audit record {one.sequence} is not the record that was published")
        doubted = hashes.keys() - named - {one.sequence for one in part}
        if doubted:
            # a record that was written after the events were read has its event now
            again = await published_before(tx, service=service, newest=newest, limit=newest - first + 1)
            doubted -= {one.sequence for one in again}
        breaches += [
            f"audit record {number} has no event in the outbox, although an older record has one"
            for number in sorted(doubted)
        ]
        newest = first - 1
    if since is not None:
        breaches += await _young_without_event(tx, service=service, newest=newest, named=named, since=since)
    return breaches


async def _young_without_event(
    tx: AsyncConnection, *, service: str, newest: int, named: Set[int], since: datetime
) -> list[str]:
    """Records up to the number ``newest`` that were written after ``since`` and have no event, the newest ``CHUNK`` of them."""
    rows = (await tx.execute(_YOUNG, {"newest": newest, "since": since, "limit": CHUNK})).scalars()
    doubted = set(rows) - named
    if not doubted:
        return []
    # a record may have been written after the events were read
    again = await published_before(
        tx, service=service, newest=max(doubted), limit=max(doubted) - min(doubted) + 1
    )
    return [
        f"audit record {number} has no event in the outbox, although it is younger than {SURELY_KEPT.days} days"
        for number in sorted(doubted - {one.sequence for one in again})
    ]


async def _written_since(tx: AsyncConnection, sequence: int) -> bool:
    """Whether the record exists: it may have been written after the chain was read."""
    return (await tx.execute(_RECORD, {"sequence": sequence})).one_or_none() is not None


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


def newest_published(service: str) -> NewestKnown:
    """Reads the greatest number of a record of this service whose event the outbox holds, at least that of the newest record."""

    async def read(tx: AsyncConnection, sequence: int) -> int:
        return await newest_in_outbox(tx, service=service, sequence=sequence)

    return read


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()


_LAST = text("SELECT sequence, hash FROM audit_log ORDER BY sequence DESC LIMIT 1")
# The driver raises at some values that a row may have which the service did not write: JSON that is nested deeply, and a
# time that Python has not.
_CHAIN = text(
    "SELECT sequence, CASE WHEN at > '0002-01-01 Z' AND at < '9999-01-01 Z' THEN at END AS at, actor, action, target, "
    "reason, CAST(detail AS text) AS detail, correlation_id, prev_hash, hash FROM audit_log ORDER BY sequence"
)
_HASHES = text("SELECT sequence, hash FROM audit_log WHERE sequence BETWEEN :first AND :last")
_YOUNG = text(
    "SELECT sequence FROM audit_log WHERE sequence <= :newest AND at > :since ORDER BY sequence DESC LIMIT :limit"
)
_RECORD = text("SELECT 1 FROM audit_log WHERE sequence = :sequence LIMIT 1")
_APPEND = text(
    "INSERT INTO audit_log (sequence, at, actor, action, target, reason, detail, correlation_id, prev_hash, hash) "
    "VALUES (:sequence, :at, :actor, :action, :target, :reason, CAST(:detail AS jsonb), :correlation_id, "
    ":prev_hash, :hash)"
)
