"""The inbox in SQL: a fixed number of set-based statements for each batch, whatever its size."""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Read, Write, fetch


async def inbox_hashes(
    tx: AsyncConnection, *, consumer: str, keys: Collection[tuple[str, str]]
) -> dict[tuple[str, str], bytes]:
    """The hash of each event that the inbox holds under one of these (source, event id)."""
    wanted = {
        "consumer": consumer,
        "sources": [source for source, _ in keys],
        "ids": [name for _, name in keys],
    }
    rows = await fetch(tx, _INBOX_HASHES, wanted)
    return {(row.source, row.event_id): bytes(row.hash) for row in rows}


INBOX_INSERT = Read(
    "INSERT INTO inbox (consumer, source, event_id, hash, received_at) "
    "SELECT CAST(:consumer AS text), u.source, u.event_id, u.hash, CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]), CAST(:hashes AS bytea[])) AS u(source, event_id, hash) "
    "ON CONFLICT DO NOTHING RETURNING source, event_id"
)
# Look-ups by several columns are LATERAL with a LIMIT: for a plain join PostgreSQL may plan a scan of the whole table.
_INBOX_HASHES = Read(
    "SELECT i.source, i.event_id, i.hash "
    "FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS u(source, event_id) CROSS JOIN LATERAL "
    "(SELECT * FROM inbox i WHERE i.consumer = :consumer AND i.source = u.source AND i.event_id = u.event_id LIMIT 1) i"
)
INBOX_FORGET = text(
    "SELECT inbox_forget(CAST(:consumer AS text), CAST(:sources AS text[]), CAST(:ids AS text[]), "
    "CAST(:hashes AS bytea[]))"
)
VERSIONS = Read(
    "SELECT v.source, v.subject, v.version "
    "FROM unnest(CAST(:sources AS text[]), CAST(:subjects AS text[])) AS u(source, subject) CROSS JOIN LATERAL "
    "(SELECT * FROM applied_versions v WHERE v.consumer = :consumer AND v.source = u.source AND v.subject = u.subject "
    "LIMIT 1 FOR UPDATE) v"
)
"""Rows are locked in the order in which their subjects are given."""
VERSIONS_UPSERT = Write(
    "applied_versions",
    "INSERT INTO applied_versions (consumer, source, subject, version) "
    "SELECT CAST(:consumer AS text), u.source, u.subject, u.version "
    "FROM unnest(CAST(:sources AS text[]), CAST(:subjects AS text[]), CAST(:versions AS int[])) "
    "AS u(source, subject, version) "
    "ON CONFLICT (consumer, source, subject) DO UPDATE SET version = excluded.version "
    "WHERE applied_versions.version < excluded.version RETURNING 1",
)
OFFSETS = Read(
    "SELECT partition, next_offset, last_hash FROM consumer_offsets "
    "WHERE consumer = :consumer AND topic = :topic AND partition = ANY(CAST(:partitions AS int[]))"
)
OFFSETS_UPSERT = Write(
    "consumer_offsets",
    "INSERT INTO consumer_offsets (consumer, topic, partition, next_offset, last_hash, updated_at) "
    "SELECT CAST(:consumer AS text), u.topic, u.partition, u.next_offset, u.last_hash, CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]), "
    "CAST(:hashes AS bytea[])) AS u(topic, partition, next_offset, last_hash) "
    "ON CONFLICT (consumer, topic, partition) DO UPDATE SET next_offset = excluded.next_offset, "
    "last_hash = excluded.last_hash, updated_at = excluded.updated_at",
)
"""The stored offset may fall: an offset that is too low costs time, one that is too high loses messages."""
OFFSETS_BEGIN = text(
    "UPDATE consumer_offsets SET next_offset = :offset, last_hash = NULL, updated_at = CAST(:now AS timestamptz) "
    "WHERE consumer = :consumer AND topic = :topic AND partition = :partition"
)
