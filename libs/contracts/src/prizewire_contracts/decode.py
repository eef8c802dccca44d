"""From the bytes of a Kafka message to a typed event, or to a refusal with a stable code."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import orjson
from pydantic import ValidationError

from prizewire_contracts.canonical import NotCanonical, check_canonical, is_out_of_range, render_checked
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.plain_errors import plain_error
from prizewire_contracts.text import is_printable
from prizewire_contracts.topics import Topic
from prizewire_contracts.traces import HEADER, read_traceparent
from prizewire_contracts.trust import NotTrusted, TrustStore, event_signing_bytes

MESSAGE_BYTES_MAX = 1_000_000
"""Larger messages are refused. Kafka's default limit is slightly higher."""
SENT_BYTES_MAX = 1_100_000
"""The largest message of a service in bytes. A larger one was not sent by a service."""
_NUMBER_CODES = {code.value: code for code in (RefusalCode.FLOAT_REFUSED, RefusalCode.NUMBER_OUT_OF_RANGE)}


class EventRefused(Exception):
    """The message is not an event that may be applied. Nothing of it was used.

    ``subject``, ``source``, ``event_id`` and ``correlation_id`` are what could be read, for people to search by.
    """

    def __init__(self, code: RefusalCode, detail: str, *, raw: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.source = _text(raw, "source")
        self.subject = _text(raw, "subject")
        self.event_id = _text(raw, "id")
        self.event_type = _text(raw, "type")
        self.correlation_id = _text(raw, "correlationid")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A well-formed event, authenticated by its signature where one is mandatory.

    ``raw`` is the parsed JSON without ``traceparent``, for checking further signatures; ``hash`` the SHA-256 of its canonical
    bytes. ``traceparent`` is None where the message has none that is valid. It is not in the hash: no signature covers it, so
    that anybody could else make one event into two that contradict each other.
    """

    event: Envelope
    raw: dict[str, Any]
    hash: bytes
    traceparent: str | None = None


def decode(
    *, topic: Topic, value: bytes | None, trust: TrustStore, bytes_max: int = MESSAGE_BYTES_MAX
) -> Decoded:
    """Parse, validate and authenticate one message of ``topic``. ``bytes_max`` is for messages that come by another way
    than Kafka.

    Raises:
        EventRefused: with the first reason found, in the order: size, JSON, CloudEvents, type and version,
            numbers (fractions, beyond 2^53), schema (strict: no value of one type stands for another), source, signature.
    """
    if value is None:
        raise EventRefused(RefusalCode.NOT_JSON, "the message is empty")
    if len(value) > bytes_max:
        detail = f"{len(value)} bytes, where at most {bytes_max} are taken"
        raise EventRefused(RefusalCode.MESSAGE_TOO_LARGE, detail)
    try:
        raw = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        if _is_json_but_for_numbers(value):
            raise EventRefused(RefusalCode.NUMBER_OUT_OF_RANGE, str(error)) from None
        raise EventRefused(RefusalCode.NOT_JSON, str(error)) from None
    if not isinstance(raw, dict) or raw.get("specversion") != "1.0" or not isinstance(raw.get("type"), str):
        detail = "a structured CloudEvents 1.0 message has specversion 1.0 and a type"
        raise EventRefused(RefusalCode.NOT_CLOUDEVENT, detail, raw=raw if isinstance(raw, dict) else None)
    model = _model(topic, raw)
    traceparent = read_traceparent(raw.pop(HEADER, None))
    try:
        check_canonical(raw)
        text = render_checked(raw)
    except NotCanonical as error:
        code = _NUMBER_CODES.get(error.code, RefusalCode.SCHEMA_INVALID)
        raise EventRefused(code, str(error), raw=raw) from None
    event = validate(model, text, raw=raw)
    producer = _producer(model, topic, event.source)
    if model.producer is not None and producer is None:
        raise EventRefused(
            RefusalCode.SOURCE_NOT_ALLOWED, f"{event.source} does not produce {event.type}", raw=raw
        )
    if model.signed:
        try:
            trust.verify(
                keyid=event.keyid,
                service=producer or "",
                use="event",
                message=event_signing_bytes(topic=topic.name, raw=raw),
                signature=event.signature,
                at=event.time,
            )
        except NotTrusted as error:
            raise EventRefused(RefusalCode(error.code), error.detail, raw=raw) from None
    return Decoded(event, raw, hashlib.sha256(text).digest(), traceparent)


def _producer(model: type[Envelope], topic: Topic, source: object) -> str | None:
    """The service whose source this is, where it may produce events of this type; None otherwise."""
    allowed = topic.producers if model.producer is None else {model.producer}
    return next((one for one in allowed if source == f"/prizewire/{one}"), None)


def validate(model: type[Envelope], text: bytes, *, raw: dict[str, Any]) -> Envelope:
    """The event in the canonical bytes of ``raw``, by the model of its type.

    Raises:
        EventRefused: ``schema_invalid``, with the first member that is not as it must be.
    """
    try:
        # Strict: signed values are not converted. Text is not a number and 1 is not true, nor the reverse.
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise EventRefused(RefusalCode.SCHEMA_INVALID, _first_error(error), raw=raw) from None


def event_hash(value: bytes) -> bytes | None:
    """The hash that ``decode`` gives a message, without authentication of it; None where it has no canonical form."""
    try:
        raw = orjson.loads(value)
        raw.pop(HEADER, None)
        check_canonical(raw)
        return hashlib.sha256(render_checked(raw)).digest()
    except (ValueError, AttributeError, TypeError):
        return None


def signed_position(*, topic: Topic, value: bytes, trust: TrustStore) -> tuple[str, str, str, int] | None:
    """(type, source, subject, version) of a message with a valid signature of its producer, whatever else is wrong with it,
    including the version of its type. None without a valid signature, or where it is larger than a service can send.
    """
    if len(value) > SENT_BYTES_MAX:
        return None
    try:
        raw = orjson.loads(value)
        model = _model_of_any_version(topic, raw)
        check_canonical(raw)
        source, subject, version = raw["source"], raw["subject"], raw["aggregateversion"]
        named = isinstance(subject, str) and is_printable(subject) and type(version) is int
        producer = _producer(model, topic, source)
        if not model.signed or producer is None or not named:
            return None
        trust.verify(
            keyid=raw["keyid"],
            service=producer,
            use="event",
            message=event_signing_bytes(topic=topic.name, raw=raw),
            signature=raw["signature"],
            at=datetime.fromisoformat(raw["time"]),
        )
    except (KeyError, TypeError, ValueError, EventRefused, NotTrusted):
        return None
    return raw["type"], source, subject, version


def _is_json_but_for_numbers(value: bytes) -> bool:
    """Whether a message that orjson refuses is JSON with a number that is too large for a double."""
    seen_too_large = False

    def number(digits: str) -> float:
        nonlocal seen_too_large
        seen_too_large = seen_too_large or is_out_of_range(float(digits))
        return 0.0

    def no_number(word: str) -> NoReturn:
        raise ValueError(word)

    try:
        json.loads(value, parse_int=number, parse_float=number, parse_constant=no_number)
    except (ValueError, RecursionError):
        return False
    return seen_too_large


def _model(topic: Topic, raw: dict[str, Any]) -> type[Envelope]:
    kind: str = raw["type"]
    model = topic.models.get(kind)
    if model is not None:
        return model
    stem, _, version = kind.rpartition(".")
    known = {name.rpartition(".")[0] for name in topic.models}
    if stem in known and version.startswith("v"):
        raise EventRefused(RefusalCode.UNSUPPORTED_VERSION, f"{kind} is not served", raw=raw)
    raise EventRefused(RefusalCode.UNKNOWN_TYPE, f"{topic.name} carries no {kind[:128]}", raw=raw)


def _model_of_any_version(topic: Topic, raw: dict[str, Any]) -> type[Envelope]:
    """The model of a type, or of another version of it: all versions of a type have one producer."""
    kind: str = raw["type"]
    stem = kind.rpartition(".")[0]
    siblings = [model for name, model in topic.models.items() if name.rpartition(".")[0] == stem]
    return topic.models.get(kind) or (siblings[0] if siblings else _model(topic, raw))


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = "/".join(str(part) for part in first["loc"])
    return f"{where}: {plain_error(first)}"


def _text(raw: dict[str, Any] | None, name: str) -> str | None:
    value = raw.get(name) if raw else None
    return value[:256] if isinstance(value, str) else None


def unknown_members(model: type[Envelope], data: object) -> list[str]:
    """The members of an event's data that its model does not have, as paths from ``data``. Consumers ignore them."""
    annotation: Any = model.model_fields["data"].annotation
    try:
        annotation.model_validate(data, extra="forbid")
    except ValidationError as error:
        return [
            "data/" + "/".join(map(str, one["loc"]))
            for one in error.errors()
            if one["type"] == "extra_forbidden"
        ]
    return []
