"""Traces as they cross a boundary: ``traceparent`` of W3C Trace Context (https://www.w3.org/TR/trace-context/, section 3.2).

A traceparent is text: version, trace id, id of the calling span and flags, as ``00-<32 hex>-<16 hex>-<2 hex>``. Anybody may
write one, since no signature covers it. So it is checked here before it is used, and it never decides anything.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Final

from pydantic import BeforeValidator, StringConstraints

HEADER: Final = "traceparent"
SAMPLED: Final = 0x01
"""The flag that says that the caller records the trace (section 3.2.2.5.1)."""
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})(-[!-~]{0,73})?")
"""Version 00 ends after the flags; a later version may add more. Longer text than an envelope's attribute is refused."""
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
_carried: ContextVar[str | None] = ContextVar("prizewire_traceparent", default=None)


def read_traceparent(text: object) -> str | None:
    """A valid traceparent in the form of version 00, with its flags; None for everything else. It never raises."""
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    version, rest, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if rest.startswith(_NO_TRACE) or rest[33:49] == _NO_SPAN:
        return None
    return f"00-{rest}"


def trace_id_of(traceparent: str) -> str:
    """The trace id of a valid traceparent: 32 hexadecimal digits."""
    return traceparent[3:35]


def span_id_of(traceparent: str) -> str:
    """The span id of a valid traceparent: 16 hexadecimal digits."""
    return traceparent[36:52]


def is_sampled(traceparent: str) -> bool:
    """Whether the caller of a valid traceparent records the trace."""
    return bool(int(traceparent[53:55], 16) & SAMPLED)


def derived_trace(correlation_id: str, *, ratio: float = 1.0) -> str:
    """The traceparent of a correlation id for which no caller named a trace. All services derive the same one, so that a
    trace needs no storage to continue. ``ratio`` is the part of these traces that is sampled, from 0 to 1.
    """
    digest = hashlib.sha256(b"prizewire.trace\x00" + correlation_id.encode()).digest()
    flags = SAMPLED if int.from_bytes(digest[8:16]) < ratio * 2**64 else 0
    return f"00-{digest[:16].hex()}-{digest[16:24].hex()}-{flags:02x}"


def is_derived(traceparent: str, correlation_id: str) -> bool:
    """Whether a valid traceparent belongs to the trace that follows from the correlation id."""
    digest = hashlib.sha256(b"prizewire.trace\x00" + correlation_id.encode()).digest()
    return traceparent[3:35] == digest[:16].hex()


def carried_trace() -> str | None:
    """The traceparent for requests that the running work sends to other systems; None where it belongs to no trace."""
    return _carried.get()


@contextmanager
def carrying_trace(traceparent: str | None) -> Iterator[None]:
    """Let ``carried_trace`` return this traceparent inside the block."""
    token = _carried.set(traceparent)
    try:
        yield
    finally:
        _carried.reset(token)


Traceparent = Annotated[
    Annotated[str, StringConstraints(max_length=128, pattern=r"^[!-~]*$")] | None,
    BeforeValidator(read_traceparent),
]
"""An event's traceparent. One that is not valid counts as none: it must not stop an event."""
