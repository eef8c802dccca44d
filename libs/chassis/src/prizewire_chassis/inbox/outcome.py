"""The outcome of a batch, and its metrics and log lines after the commit."""

import logging
from dataclasses import dataclass, field

from prizewire_chassis.inbox.stuck import Stuck
from prizewire_chassis.inbox.types import ConsumerSpec, Incoming
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import EVENTS, REFUSED
from prizewire_chassis.metrics.labels import EventOutcome
from prizewire_chassis.tracing import Unit
from prizewire_contracts.traces import trace_id_of

_log = get_logger(__name__)


@dataclass(slots=True)
class BatchOutcome:
    """The events that were applied, the messages that are stuck, and the number of events without effect by reason."""

    applied: list[Incoming] = field(default_factory=list)
    stuck: list[Stuck] = field(default_factory=list)
    without_effect: dict[EventOutcome, int] = field(default_factory=dict)

    def skip(self, reason: EventOutcome) -> None:
        """Count an event without effect."""
        self.without_effect[reason] = self.without_effect.get(reason, 0) + 1


def report_outcome(spec: ConsumerSpec, outcome: BatchOutcome, *, unit: Unit) -> None:
    """Count every event, and log each that was applied (INFO) or is stuck (WARNING) with its correlation id and trace id, so
    that the logs of all services can be searched for them.
    """
    EVENTS.labels(spec.name, EventOutcome.APPLIED).inc(len(outcome.applied))
    for reason, count in outcome.without_effect.items():
        EVENTS.labels(spec.name, reason).inc(count)
    if logging.getLogger(__name__).isEnabledFor(logging.INFO):
        for item in outcome.applied:
            _log.info(
                "event applied",
                consumer=spec.name,
                type=item.event.type,
                subject=item.event.subject,
                version=item.event.aggregateversion,
                correlation_id=spec.correlation(
                    named=item.event.correlationid, source=item.event.source, subject=item.event.subject
                ),
                trace_id=_trace_id(unit, item.event.id),
            )
    for entry in outcome.stuck:
        EVENTS.labels(spec.name, entry.state).inc()
        REFUSED.labels(spec.name, entry.state, entry.reason).inc()
        _log.warning(
            "event stuck",
            consumer=spec.name,
            state=entry.state,
            reason=entry.reason,
            detail=entry.detail,
            type=entry.type,
            source=entry.source,
            subject=entry.subject,
            correlation_id=entry.correlation_id,
            trace_id=_trace_id(unit, entry.event_id),
            place=f"{entry.topic}/{entry.partition}/{entry.offset}",
        )


def _trace_id(unit: Unit, event_id: str | None) -> str:
    """The trace id of an event; that of the batch where the event could not be read."""
    known = None if event_id is None else unit.by_event.get(event_id)
    return trace_id_of(unit.traceparent if known is None else known[1])
