"""From an event of a service to the signed bytes in Kafka."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from prizewire_contracts.canonical import check_canonical, render_checked
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.ids import event_id
from prizewire_contracts.topics import Topic, topic_of
from prizewire_contracts.traces import HEADER
from prizewire_contracts.trust import MessageKey, event_signing_bytes

SCHEMA_URN = "urn:prizewire:schema:"


class EncodedEvent:
    """A message ready for Kafka: ``topic``, ``key`` (the correlation id) and ``value`` (canonical JSON); and its
    ``kind`` (the event type) and ``subject``, for people. ``follows`` is another correlation id whose trace
    the event continues; ``traced`` is whether ``traceparent`` is that of the event's cause, and not to be looked up.
    """

    __slots__ = (
        "_signed",
        "event_id",
        "follows",
        "key",
        "kind",
        "subject",
        "topic",
        "traced",
        "traceparent",
        "value",
    )

    def __init__(
        self,
        *,
        topic: str,
        key: bytes,
        value: bytes,
        event_id: str,
        kind: str,
        subject: str,
        signed: dict[str, Any] | None = None,
    ) -> None:
        self.kind = kind
        self.subject = subject
        self.topic = topic
        self.key = key
        self.value = value
        self.event_id = event_id
        self.traceparent: str | None = None
        self.follows: str | None = None
        self.traced = False
        self._signed = signed

    @property
    def correlation_id(self) -> str:
        """The event's correlation id, which is its key in Kafka except for events that are keyed by their subject."""
        return self.key.decode() if self._signed is None else str(self._signed["correlationid"])

    def continue_trace(self, traceparent: str) -> None:
        """Set the attribute ``traceparent``, which the signature does not cover. An event that was not made by ``encode`` stays as
        it is.
        """
        if self._signed is not None:
            self.traceparent = traceparent
            self.value = render_checked({**self._signed, HEADER: traceparent})


def source_of(service: str) -> str:
    """The CloudEvents source of a service."""
    return f"/prizewire/{service}"


def encode(
    model: type[Envelope],
    data: BaseModel | Mapping[str, Any],
    *,
    service: str,
    subject: str,
    version: int,
    correlation_id: str,
    causation_id: str | None,
    now: datetime,
    key: MessageKey,
    traceparent: str | None = None,
) -> EncodedEvent:
    """Wrap ``data`` as event ``version`` of ``subject``, sign it, and render it.

    ``data`` is the event's payload, or the JSON document that the payload's model would make of itself: for events of
    which thousands leave in a second, and whose tests hold the document to the model.

    Every event of a service is signed, also where the signature is not mandatory: there is one path. The id follows
    from source, subject, version and type, so that a repeated derivation yields the same event. ``traceparent`` is a valid one;
    the signature does not cover it.
    """
    kind: str = model.model_fields["type"].default
    topic: Topic = topic_of(kind)
    source = source_of(service)
    identifier = str(event_id(source=source, subject=subject, version=version, kind=kind))
    raw: dict[str, Any] = {
        "specversion": "1.0",
        "id": identifier,
        "source": source,
        "type": kind,
        "time": now.isoformat(),
        "subject": subject,
        "datacontenttype": "application/json",
        "dataschema": SCHEMA_URN + kind,
        "correlationid": correlation_id,
        "aggregateversion": version,
        "data": data.model_dump(mode="json") if isinstance(data, BaseModel) else data,
    }
    if causation_id is not None:
        raw["causationid"] = causation_id
    signed = sign_raw(topic=topic.name, raw=raw, key=key)
    event = EncodedEvent(
        topic=topic.name,
        key=(subject if model.keyed_by_subject else correlation_id).encode(),
        value=render_checked(signed if traceparent is None else {**signed, HEADER: traceparent}),
        event_id=identifier,
        kind=kind,
        subject=subject,
        signed=signed,
    )
    event.traceparent = traceparent
    return event


def sign_raw(*, topic: str, raw: dict[str, Any], key: MessageKey) -> dict[str, Any]:
    """A copy of a CloudEvent with ``keyid`` and ``signature`` set. Game servers sign with this too.

    Raises:
        NotCanonical: the event holds a float, or something else that cannot be signed.
    """
    bare = {name: value for name, value in raw.items() if name != "signature"}
    bare["keyid"] = key.keyid
    check_canonical(bare)
    return {**bare, "signature": key.sign(event_signing_bytes(topic=topic, raw=bare))}
