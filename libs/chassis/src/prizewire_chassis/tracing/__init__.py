"""Traces: which trace a unit of work belongs to, which one its events continue, and spans for a collector.

The parts that are imported here need no OpenTelemetry. ``tracing.export`` loads its SDK, where a collector is configured.
"""

from prizewire_chassis.tracing.spans import Kind, Span, calling, child_of, record, set_recorder, wanted
from prizewire_chassis.tracing.stored import (
    TRACES_KEPT,
    continue_traces,
    keep_traces,
    purge_traces,
    stored_traces,
    traces_of,
)
from prizewire_chassis.tracing.units import (
    Unit,
    continued,
    current_unit,
    derived,
    name_correlation,
    new_trace,
    running_unit,
    set_ratio,
    trace_for,
    working,
)

__all__ = (
    "TRACES_KEPT",
    "Kind",
    "Span",
    "Unit",
    "calling",
    "child_of",
    "continue_traces",
    "continued",
    "current_unit",
    "derived",
    "keep_traces",
    "name_correlation",
    "new_trace",
    "purge_traces",
    "record",
    "running_unit",
    "set_ratio",
    "set_recorder",
    "stored_traces",
    "trace_for",
    "traces_of",
    "wanted",
    "working",
)
