"""The traces of a batch: each event continues its own, and the batch has a span with a link to each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prizewire_chassis.inbox.outcome import BatchOutcome
from prizewire_chassis.inbox.stuck import Stuck
from prizewire_chassis.inbox.types import ConsumerSpec, Incoming
from prizewire_chassis.tracing import (
    Kind,
    Unit,
    child_of,
    current_unit,
    derived,
    new_trace,
    record,
    wanted,
    working,
)
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.traces import is_derived


def correlation_of(spec: ConsumerSpec, item: Incoming) -> str | None:
    """The correlation id of an event, also where its sender gave none."""
    event = item.event
    return spec.correlation(named=event.correlationid, source=event.source, subject=event.subject)


def may_name_trace(spec: ConsumerSpec, event: Envelope) -> bool:
    """Whether the sender of an event may say which trace its correlation id belongs to. A service of ours may. Any other source may
    for the correlation id that follows from its source and subject only: it could give its own event the correlation id of
    another source's match, and so draw the payments of that match into its trace.
    """
    if type(event).signed or event.correlationid is None:
        return True
    return event.correlationid == spec.correlation(named=None, source=event.source, subject=event.subject)


@contextmanager
def batch_unit(spec: ConsumerSpec, items: Sequence[Incoming | Stuck]) -> Iterator[Unit]:
    """A unit of work over these items. An event without a trace continues that of the request which offers it, if its caller
    named one and the event's source may name it, else that of its correlation id. Where all have one correlation id or one trace, each log line has it.
    """
    outer = current_unit()
    given = outer.traceparent if outer is not None and outer.given else None
    unit = Unit(new_trace() if outer is None else outer.traceparent, kept={})
    correlations: set[str | None] = set()
    traces: set[str] = set()
    for item in items:
        if isinstance(item, Stuck):
            correlations.add(item.correlation_id)
            continue
        correlation = correlation_of(spec, item)
        asked = given if may_name_trace(spec, item.event) else None
        traceparent = item.traceparent or asked or derived(correlation or item.event.id)
        correlations.add(correlation)
        traces.add(traceparent[:35])
        own = child_of(traceparent)
        unit.by_event[item.event.id] = (correlation, own)
        if correlation is not None:
            unit.by_correlation[correlation] = own
    if len(traces) == 1:
        unit.traceparent = next(iter(unit.by_event.values()))[1]
    with working(unit, correlation_id=next(iter(correlations)) if len(correlations) == 1 else None):
        yield unit


def traces_to_keep(spec: ConsumerSpec, applied: Sequence[Incoming]) -> dict[str, str]:
    """By correlation id the traces of applied events that do not follow from the correlation id."""
    kept: dict[str, str] = {}
    for item in applied:
        correlation = correlation_of(spec, item)
        if item.traceparent is None or correlation is None or is_derived(item.traceparent, correlation):
            continue
        kept.setdefault(correlation, item.traceparent)
    return kept


def record_spans(spec: ConsumerSpec, outcome: BatchOutcome, *, unit: Unit, started_ns: int) -> None:
    """Record a span for each event that was applied or is stuck, and one for the transaction with links to them."""
    if not wanted():
        return
    about = {
        "messaging.system": "kafka",
        "messaging.destination.name": spec.topic.name,
        "prizewire.consumer": spec.name,
    }
    links: list[str] = []
    for item in outcome.applied:
        correlation, own = unit.by_event[item.event.id]
        links.append(own)
        record(
            f"apply {item.event.type}",
            kind=Kind.CONSUMER,
            traceparent=own,
            parent=item.traceparent,
            started_ns=started_ns,
            attributes={
                **about,
                "prizewire.correlation_id": correlation,
                "prizewire.event_type": item.event.type,
            },
        )
    for entry in outcome.stuck:
        known = None if entry.event_id is None else unit.by_event.get(entry.event_id)
        if known is None:
            continue
        record(
            "event stuck",
            kind=Kind.CONSUMER,
            traceparent=known[1],
            parent=None,
            started_ns=started_ns,
            attributes={
                **about,
                "prizewire.correlation_id": entry.correlation_id,
                "prizewire.code": entry.reason,
                "prizewire.state": entry.state,
            },
            error=entry.reason,
        )
    if links:
        record(
            f"process {spec.name}",
            kind=Kind.CONSUMER,
            traceparent=child_of(new_trace()),
            parent=None,
            started_ns=started_ns,
            attributes={**about, "messaging.batch.message_count": len(links)},
            links=links,
        )
