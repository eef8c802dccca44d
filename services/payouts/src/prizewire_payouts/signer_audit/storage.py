"""The signer's audit records over PostgreSQL: kept append-only, checked, and shown in the lineage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import (
    GENESIS,
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


@dataclass(frozen=True, slots=True)
class _Discarded:
    """A discarded record that continues the chain: its number, its hash, and the hash of the kept record with this number."""

    sequence: int
    hash: str
    kept: str | None


async def newest_received(tx: AsyncConnection, sequence: int) -> int:
    """The greatest number of a record that came from Kafka, whether it was kept, waits, was refused, or was discarded although it
    continues the chain. ``sequence``, the greatest number in the table, is not used: a record that did not come may have it.
    """
    del sequence
    received = int((await tx.execute(_RECEIVED, _NAMES)).scalar_one())
    return max([received, *(one.sequence for one in await _discarded(tx))])


async def contradicting(tx: AsyncConnection, newest: int, limit: int) -> list[Published]:
    """Records with the signer's signature that came under the number of a kept record and have other content, up to the number
    ``newest``, the newest first. The signer wrote one of the two at most, unless its database was restored. A discarded record
    is among them where it continues the chain.
    """
    found = [
        Published(one.sequence, one.hash)
        for one in await _discarded(tx)
        if one.kept is not None and one.kept != one.hash and one.sequence <= newest
    ]
    rows = await tx.stream(_OPEN, {**_NAMES, "newest": newest})
    waiting = 0
    async for row in rows:
        # read here: PostgreSQL's jsonb takes not every JSON
        _, link = _links_in(bytes(row.value))
        if link == row.hash:
            continue
        found.append(Published(row.version, link))
        waiting += 1
        if waiting == limit:
            break
    return sorted(found, key=lambda one: one.sequence, reverse=True)[:limit]


async def _discarded(tx: AsyncConnection) -> list[_Discarded]:
    """Discarded records that continue a kept record, or another discarded one that does, the oldest first. A person may have
    discarded them by mistake. Others are forged, or are known by what is missing before them.
    """
    links: dict[int, set[str]] = {0: {GENESIS}}
    found: list[_Discarded] = []
    async for row in await tx.stream(_DISCARDED, _NAMES):
        prev, link = _links_in(bytes(row.value))
        before = links.get(row.version - 1, set())
        if prev and (prev == row.before or prev in before):
            links.setdefault(row.version, set()).add(link)
            found.append(_Discarded(row.version, link, row.hash))
    return found


def _links_in(value: bytes) -> tuple[str, str]:
    """``prev_hash`` and ``hash`` of the record in a message; both empty where they cannot be read."""
    try:
        data = orjson.loads(value)["data"]
        return str(data["prev_hash"]), str(data["hash"])
    except (ValueError, TypeError, KeyError):
        return "", ""


RECORDS: Final = AuditTable(SIGNER, newest_received, TABLE, contradicting)
"""The signer's records as `GET /api/services/signer/audit` serves them."""


async def signer_audit_lineage(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
    """The signer's records of one correlation id."""
    return audit_steps(await RECORDS.of_correlation(tx, correlation_id), service=SIGNER)


async def _broken(tx: AsyncConnection) -> list[str]:
    """Breaks of the kept chain, of which any may be the work of a person with the owner's login."""
    reader, after = ChainReader(SIGNER), None
    numbers: list[int] = []
    came_before = await newest_received(tx, 0)
    while True:
        rows = await RECORDS.page(tx, AuditFilter(), after=after, limit=_PAGE, newest_first=False)
        for row in rows:
            reader.read(published_record(row, service=SIGNER))
            numbers.append(row.sequence)
        if len(rows) < _PAGE:
            break
        after = (rows[-1].sequence, rows[-1].place)
    reader.end(newest=came_before)
    # read again, since records may have come meanwhile: each is stored together with its number in applied_versions
    came = await newest_received(tx, reader.sequence)
    named = {one.sequence for one in reader.breaks}
    added = [
        f"audit record {number} of {SIGNER} did not come from Kafka"
        for number in numbers
        if number > came and number not in named
    ]
    twice = [
        f"another audit record {one.sequence} of {SIGNER} came, with the hash {one.hash}"
        for one in await contradicting(tx, SEQUENCE_MAX, _PAGE)
    ]
    return [one.detail for one in reader.breaks] + added + twice


CHECKS: Final = (Check("signer_audit.chain", _broken, count=rows_of(TABLE)),)
"""Records that were changed, deleted or added, or that have not come from the signer although later ones have."""

_APPEND = text(
    "INSERT INTO signer_audit_records (sequence, at, actor, action, target, reason, detail, correlation_id, prev_hash, hash) "
    "VALUES (:sequence, :at, :actor, :action, :target, :reason, CAST(:detail AS jsonb), :correlation_id, :prev_hash, :hash)"
)
_NEWEST = text("SELECT hash FROM signer_audit_records ORDER BY sequence DESC LIMIT 1")
_NAMES: Final = {"consumer": CONSUMER, "source": source_of(SIGNER), "subject": SIGNER}
# A stuck event has a version only if its signature was verified.
_OPEN = text(
    "SELECT s.version, s.value, a.hash FROM stuck_events s JOIN signer_audit_records a ON a.sequence = s.version "
    "WHERE s.consumer = :consumer AND s.source = :source AND s.subject = :subject AND s.state IN ('dead', 'parked') "
    "AND s.version <= :newest ORDER BY s.version DESC, s.id DESC"
)
_DISCARDED = text(
    "SELECT s.version, s.value, a.hash, b.hash AS before FROM stuck_events s "
    "LEFT JOIN signer_audit_records a ON a.sequence = s.version "
    "LEFT JOIN signer_audit_records b ON b.sequence = s.version - 1 "
    "WHERE s.consumer = :consumer AND s.source = :source AND s.subject = :subject AND s.state = 'discarded' "
    "AND s.version IS NOT NULL ORDER BY s.version, s.id"
)
_RECEIVED = text(
    "SELECT greatest(coalesce((SELECT version FROM applied_versions WHERE consumer = :consumer AND source = :source "
    "AND subject = :subject), 0), coalesce((SELECT max(version) FROM stuck_events WHERE consumer = :consumer "
    "AND source = :source AND subject = :subject AND state IN ('dead', 'parked')), 0))"
)
