"""Spans, as they are given to a recorder. Without a recorder no span is made."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from prizewire_contracts.traces import carried_trace, carrying_trace, is_sampled

LINKS_MAX = 500
"""How many links a span has at most: as many as a batch has events."""


class Kind(Enum):
    """The kinds of OpenTelemetry (specification of the trace API, "SpanKind")."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span that has ended. ``traceparent`` is its own place, ``parent`` that of its cause in the same trace. Times are
    nanoseconds since 1970. ``error`` is the code of what went wrong.

    Names and attributes have no personal details and no secrets: correlation ids, event types, templates of routes, names
    of rails, and codes.
    """

    name: str
    kind: Kind
    traceparent: str
    parent: str | None
    started_ns: int
    ended_ns: int
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    links: Sequence[str] = ()
    error: str | None = None


class Recorder(Protocol):
    """Takes spans. It neither waits nor raises."""

    def record(self, span: Span) -> None:
        """Take a span that has ended."""
        ...


_recorder: list[Recorder] = []


def set_recorder(recorder: Recorder | None) -> None:
    """Record the spans of this process by this recorder; by none where it is None."""
    _recorder[:] = [] if recorder is None else [recorder]


def wanted() -> bool:
    """Whether spans are recorded."""
    return bool(_recorder)


def child_of(traceparent: str) -> str:
    """The traceparent of a new span in the same trace; the same one where no span is recorded."""
    if not _recorder:
        return traceparent
    return f"{traceparent[:36]}{random.getrandbits(64) or 1:016x}{traceparent[52:]}"


@dataclass(slots=True)
class Call:
    """A call of another system that is under way. ``attributes`` and ``error`` may be set until it ends."""

    attributes: dict[str, str | int | None]
    error: str | None = None


@contextmanager
def calling(name: str, **attributes: str | int | None) -> Iterator[Call]:
    """Record a span for the call in the block, which the called system may continue."""
    call = Call({f"prizewire.{key}": value for key, value in attributes.items()})
    caller = carried_trace()
    if caller is None or not _recorder:
        yield call
        return
    own = child_of(caller)
    started_ns = time.time_ns()
    try:
        with carrying_trace(own):
            yield call
    except BaseException as error:
        call.error = call.error or type(error).__name__
        raise
    finally:
        record(
            name,
            kind=Kind.CLIENT,
            traceparent=own,
            parent=caller,
            started_ns=started_ns,
            attributes=call.attributes,
            error=call.error,
        )


def record(
    name: str,
    *,
    kind: Kind,
    traceparent: str,
    parent: str | None,
    started_ns: int,
    ended_ns: int | None = None,
    attributes: Mapping[str, str | int | None] | None = None,
    links: Sequence[str] = (),
    error: str | None = None,
) -> None:
    """Record a span that ends now, or at ``ended_ns``; nothing where spans are not recorded or the trace is not sampled.
    Attributes without a value are left out.
    """
    if not _recorder or not is_sampled(traceparent):
        return
    _recorder[0].record(
        Span(
            name=name,
            kind=kind,
            traceparent=traceparent,
            parent=parent,
            started_ns=started_ns,
            ended_ns=time.time_ns() if ended_ns is None else ended_ns,
            attributes={key: value for key, value in (attributes or {}).items() if value is not None},
            links=links[:LINKS_MAX],
            error=error,
        )
    )
