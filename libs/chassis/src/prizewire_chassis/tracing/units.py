"""Units of work: a request, a batch of events, a run of a job, a call of a rail.

Each has a trace of its own or continues one, and each log line inside it has the trace id.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import structlog

from prizewire_chassis.logging import correlated
from prizewire_contracts.traces import SAMPLED, carrying_trace, derived_trace, trace_id_of


@dataclass(slots=True)
class Unit:
    """``traceparent`` is the unit's own place in its trace. ``given``: a caller named the trace, so that all events of the unit
    continue it.

    Of a batch ``by_event`` has the correlation id and the traceparent of each event by its id, and ``by_correlation`` the
    traceparent by correlation id. ``kept`` collects the traces that its transaction stores, by correlation id; it is None
    where each write is made at once.
    """

    traceparent: str
    given: bool = False
    by_event: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    by_correlation: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] | None = None


_current: ContextVar[Unit | None] = ContextVar("prizewire_unit", default=None)
_ratio = [1.0]


def set_ratio(ratio: float) -> None:
    """Set the part of the traces begun here that is sampled, from 0 to 1. Services of one system need the same one."""
    _ratio[0] = ratio


def current_unit() -> Unit | None:
    """The unit of work that is running."""
    return _current.get()


def running_unit() -> Unit:
    """The unit of work that is running, where there must be one."""
    unit = _current.get()
    assert unit is not None, "a batch is a unit of work"
    return unit


def derived(correlation_id: str) -> str:
    """The traceparent of a correlation id for which no caller named a trace."""
    return derived_trace(correlation_id, ratio=_ratio[0])


def new_trace() -> str:
    """A traceparent of a trace that begins here."""
    # not a secret: an id must only be unlikely to repeat
    number = random.getrandbits(128) or 1
    flags = SAMPLED if (number & (2**64 - 1)) < _ratio[0] * 2**64 else 0
    return f"00-{number:032x}-{random.getrandbits(64) or 1:016x}-{flags:02x}"


@contextmanager
def working(unit: Unit, *, correlation_id: str | None = None) -> Iterator[Unit]:
    """Run a unit of work: its trace id, and its correlation id where one is given, are in each log line inside the block."""
    named = {} if correlation_id is None else {"correlation_id": correlation_id}
    token = _current.set(unit)
    try:
        with (
            carrying_trace(unit.traceparent),
            correlated(trace_id=trace_id_of(unit.traceparent), **named),
        ):
            yield unit
    finally:
        _current.reset(token)


@contextmanager
def continued(traceparent: str, *, correlation_id: str, **named: str) -> Iterator[Unit]:
    """A unit of work that continues the trace of one correlation id, such as the call of a rail for one payout. ``named`` are
    further values for its log lines.
    """
    unit = Unit(traceparent, by_correlation={correlation_id: traceparent})
    with working(unit, correlation_id=correlation_id), correlated(**named):
        yield unit


def trace_for(*, correlation_id: str, causation_id: str | None) -> str | None:
    """The traceparent of the running unit's cause of an event. None where the event belongs to the trace of its correlation
    id, and that trace must be looked up.

    An event with another correlation id than its cause starts its own trace: one signed transaction pays the prizes of a
    hundred matches.
    """
    unit = _current.get()
    if unit is None:
        return None
    cause = None if causation_id is None else unit.by_event.get(causation_id)
    if cause is not None and cause[0] == correlation_id:
        return cause[1]
    found = unit.by_correlation.get(correlation_id)
    if found is None and unit.given:
        return unit.traceparent
    return found


def name_correlation(correlation_id: str) -> None:
    """Add the correlation id to the further log lines of a request, once it is known what the request is about."""
    unit = _current.get()
    if unit is not None and not unit.by_correlation and unit.kept is None:
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
