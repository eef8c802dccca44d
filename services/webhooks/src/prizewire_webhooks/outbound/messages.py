"""Public events: stored with the message of their producer, and read from that message again before each attempt."""

import json
from contextlib import suppress

from prizewire_chassis.tracing import derived
from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.decode import EventRefused, decode
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.topics import topic_of
from prizewire_contracts.traces import HEADER, read_traceparent
from prizewire_contracts.trust import TrustStore
from prizewire_webhooks.outbound.domain.model import PUBLIC_TYPES, PublicEvent, Task, Unverified

_INTERNAL = frozenset({"keyid", "signature", "traceparent"})
"""Envelope attributes that are between our services only."""


def public_event(event: Envelope, message: bytes) -> PublicEvent:
    """The event of an authentic message, as it is stored."""
    assert event.correlationid is not None, "events of our services have a correlation id"
    return PublicEvent(
        event_id=event.id,
        source=event.source,
        type=event.type,
        subject=event.subject,
        correlation_id=event.correlationid,
        message=message,
    )


def trace_of(task: Task) -> str:
    """The traceparent of the event that is delivered. It is for our own spans and log lines: subscribers get none."""
    message = None
    if task.event.message is not None:
        with suppress(ValueError):
            message = json.loads(task.event.message)
    named = read_traceparent(message.get(HEADER)) if isinstance(message, dict) else None
    return named or derived(task.correlation_id)


class EventVerifier:
    """``ports.Verifier``: what the database says of an event counts only where its producer signed the same."""

    def __init__(self, trust: TrustStore) -> None:
        self._trust = trust

    def body(self, task: Task) -> bytes | Unverified:
        """See the port."""
        event = task.event
        if event.type not in PUBLIC_TYPES.values() or not task.wanted:
            return Unverified.NOT_WANTED
        if not task.secrets:
            return Unverified.SECRET_MISSING
        if event.message is None:
            return Unverified.WITHOUT_MESSAGE
        try:
            found = decode(topic=topic_of(event.type), value=event.message, trust=self._trust)
        except EventRefused as refused:
            if refused.code is RefusalCode.KEY_NOT_TRUSTED:
                return Unverified.KEY_NOT_TRUSTED
            return Unverified.NOT_AUTHENTIC
        if event != public_event(found.event, event.message) or task.correlation_id != event.correlation_id:
            return Unverified.DIFFERS
        return canonical_bytes({name: value for name, value in found.raw.items() if name not in _INTERNAL})
