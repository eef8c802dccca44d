"""The signer's audit records over PostgreSQL: kept append-only, checked, and shown in the lineage."""

from collections.abc import Sequence
from typing import Final

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import (
    SEQUENCE_MAX,
    AuditFilter,
    AuditTable,
    ChainReader,
    Published,
    published_record,
)
from prizewire_chassis.checks import Check, rows_of
from prizewire_chassis.http import LineageEntry
from prizewire_chassis.http.audit_routes import audit_steps
from prizewire_contracts.encode import source_of
from prizewire_contracts.events.audit import AuditRecorded

SIGNER: Final = "signer"
CONSUMER: Final = "payouts.audit"
TABLE: Final = "signer_audit_records"
_PAGE: Final = 1_000


async def append(tx: AsyncConnection, records: Sequence[AuditRecorded]) -> None:
    """Store records in their order."""
    rows = [
        {
            **one.model_dump(include={"sequence", "at", "actor", "action", "target", "reason"}),
            "detail": orjson.dumps(one.detail).decode(),
            "correlation_id": one.correlation_id,
            "prev_hash": one.prev_hash,
            "hash": one.hash,
        }
        for one in records
    ]
    if rows:
        await tx.execute(_APPEND, rows)


async def newest_hash(tx: AsyncConnection) -> str | None:
    """The hash of the newest record; None where none is kept."""
    found: str | None = (await tx.execute(_NEWEST)).scalar_one_or_none()
    return found


async def newest_received(tx: AsyncConnection, sequence: int) -> int:
    """The greatest number of a record that came from Kafka, applied or waiting behind a missing one; at least ``sequence``."""
    values = {"consumer": CONSUMER, "source": source_of(SIGNER), "subject": SIGNER}
    return max(sequence, int((await tx.execute(_RECEIVED, values)).scalar_one()))


async def contradicting(tx: AsyncConnection, newest: int, limit: int) -> list[Published]:
    """Records with the signer's signature that came under the number of a kept record and have other content, up to the number
    ``newest``, the newest first. The signer wrote one of the two at most, unless its database was restored.
    """
    names = {"consumer": CONSUMER, "source": source_of(SIGNER), "subject": SIGNER}
    rows = await tx.execute(_CONTRADICTING, {**names, "newest": newest, "limit": limit})
    # read here: PostgreSQL's jsonb takes not every JSON
    found = [(Published(row.version, _hash_in(bytes(row.value))), row.hash) for row in rows]
    return [other for other, kept in found if other.hash != kept]


def _hash_in(value: bytes) -> str:
    try:
        return str(orjson.loads(value)["data"]["hash"])
    except (ValueError, TypeError, KeyError):
        return ""


RECORDS: Final = AuditTable(SIGNER, newest_received, TABLE, contradicting)
"""The signer's records as `GET /api/services/signer/audit` serves them."""


async def signer_audit_lineage(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
    """The signer's records of one correlation id."""
    return audit_steps(await RECORDS.of_correlation(tx, correlation_id), service=SIGNER)


async def _broken(tx: AsyncConnection) -> list[str]:
    """Breaks of the kept chain, of which any may be the work of a person with the owner's login."""
    reader, after = ChainReader(SIGNER), None
    while True:
        rows = await RECORDS.page(tx, AuditFilter(), after=after, limit=_PAGE, newest_first=False)
        for row in rows:
            reader.read(published_record(row, service=SIGNER))
        if len(rows) < _PAGE:
            break
        after = (rows[-1].sequence, rows[-1].place)
    reader.end(newest=await newest_received(tx, reader.sequence))
    twice = [
        f"another audit record {one.sequence} of {SIGNER} came, with the hash {one.hash}"
        for one in await contradicting(tx, SEQUENCE_MAX, _PAGE)
    ]
    return [one.detail for one in reader.breaks] + twice


CHECKS: Final = (Check("signer_audit.chain", _broken, count=rows_of(TABLE)),)
"""Records that were changed or deleted, or that have not come from the signer although later ones have."""

_APPEND = text(
    "INSERT INTO signer_audit_records (sequence, at, actor, action, target, reason, detail, correlation_id, prev_hash, hash) "
    "VALUES (:sequence, :at, :actor, :action, :target, :reason, CAST(:detail AS jsonb), :correlation_id, :prev_hash, :hash)"
)
_NEWEST = text("SELECT hash FROM signer_audit_records ORDER BY sequence DESC LIMIT 1")
_CONTRADICTING = text(
    "SELECT s.version, s.value, a.hash FROM stuck_events s JOIN signer_audit_records a ON a.sequence = s.version "
    "WHERE s.consumer = :consumer AND s.source = :source AND s.subject = :subject AND s.state = 'dead' "
    "AND s.reason IN ('id_conflict', 'version_conflict') AND s.version <= :newest ORDER BY s.version DESC, s.id DESC LIMIT :limit"
)
_RECEIVED = text(
    "SELECT greatest(coalesce((SELECT version FROM applied_versions WHERE consumer = :consumer AND source = :source "
    "AND subject = :subject), 0), coalesce((SELECT max(version) FROM stuck_events WHERE consumer = :consumer "
    "AND source = :source AND subject = :subject AND state = 'parked'), 0))"
)
