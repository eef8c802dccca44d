"""The trace of a correlation id, where a caller named one: jobs continue it later, in another process.

A trace that nobody named follows from the correlation id and is not stored.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, Read, Write, fetch, later
from prizewire_chassis.tracing.spans import Kind, child_of, record, wanted
from prizewire_chassis.tracing.units import current_unit, derived
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.traces import is_derived, read_traceparent

TRACES_KEPT: Final = timedelta(days=60)
_PURGE_ROWS = 5_000


async def stored_traces(tx: AsyncConnection, correlation_ids: Collection[str]) -> dict[str, str]:
    """The stored traceparents by correlation id; ids without one are left out."""
    if not correlation_ids:
        return {}
    rows = await fetch(tx, _STORED, {"correlations": sorted(set(correlation_ids))})
    found = {row.correlation_id: read_traceparent(row.traceparent) for row in rows}
    return {name: traceparent for name, traceparent in found.items() if traceparent is not None}


async def traces_of(tx: AsyncConnection, correlation_ids: Collection[str]) -> dict[str, str]:
    """The traceparent that the work on each correlation id continues: the stored one, else the one that follows from the id."""
    stored = await stored_traces(tx, correlation_ids)
    return {name: stored.get(name) or derived(name) for name in correlation_ids}


async def keep_traces(tx: AsyncConnection, traces: Mapping[str, str], *, now: datetime) -> None:
    """Store traceparents by correlation id. The first one of a correlation id stays."""
    if traces:
        # in one order for all transactions, so that they do not wait for each other in a circle
        ordered = sorted(traces.items())
        await later(
            tx,
            _KEEP,
            {
                "correlations": [name for name, _ in ordered],
                "traceparents": [traceparent for _, traceparent in ordered],
                "now": now,
            },
        )


async def continue_traces(tx: AsyncConnection, events: Sequence[EncodedEvent], *, now: datetime) -> None:
    """Look up the trace of each event that no event and no caller's request caused: that of its correlation id, or of the one
    that it ``follows``. And store the traces that a caller named.
    """
    unit = current_unit()
    without = [event for event in events if not event.traced]
    stored = await stored_traces(tx, {event.follows or event.correlation_id for event in without})
    for event in without:
        name = event.follows or event.correlation_id
        if name in stored or wanted():
            event.continue_trace(_recorded(event, stored.get(name), derived(name)))
    kept: dict[str, str] = {}
    for event in events:
        name = event.correlation_id
        if event.traceparent is None or name in stored or (unit is not None and name in unit.by_correlation):
            continue
        if not is_derived(event.traceparent, name):
            kept[name] = event.traceparent
    if unit is not None and unit.kept is not None:
        unit.kept = {**kept, **unit.kept}
    else:
        await keep_traces(tx, kept, now=now)


def _recorded(event: EncodedEvent, stored: str | None, otherwise: str) -> str:
    """The traceparent of an event that a job or a request without a trace caused, with a span for it where spans are wanted."""
    if not wanted():
        return stored or otherwise
    unit = current_unit()
    own = child_of(stored or otherwise)
    now_ns = time.time_ns()
    record(
        f"record {event.kind}",
        kind=Kind.PRODUCER,
        traceparent=own,
        parent=stored,
        started_ns=now_ns,
        ended_ns=now_ns,
        attributes={
            "prizewire.correlation_id": event.correlation_id,
            "prizewire.event_type": event.kind,
            "messaging.system": "kafka",
            "messaging.destination.name": event.topic,
        },
        links=() if unit is None else (unit.traceparent,),
    )
    return own


async def purge_traces(db: Database, *, clock: Clock) -> bool:
    """Delete traces that were stored longer than ``TRACES_KEPT`` ago. Returns whether there may be more of them."""
    async with db.transaction() as tx:
        result = await tx.execute(_PURGE, {"before": clock.now() - TRACES_KEPT, "rows": _PURGE_ROWS})
    return result.rowcount >= _PURGE_ROWS


_STORED = Read(
    "SELECT correlation_id, traceparent FROM traces WHERE correlation_id = ANY(CAST(:correlations AS text[]))"
)
_KEEP = Write(
    "traces",
    "INSERT INTO traces (correlation_id, traceparent, stored_at) "
    "SELECT u.correlation_id, u.traceparent, CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:correlations AS text[]), CAST(:traceparents AS text[])) "
    "WITH ORDINALITY AS u(correlation_id, traceparent, n) ORDER BY u.n ON CONFLICT DO NOTHING",
)
_PURGE = text(
    "DELETE FROM traces WHERE correlation_id IN "
    "(SELECT correlation_id FROM traces WHERE stored_at < :before ORDER BY stored_at LIMIT :rows)"
)
