"""The CloudEvents 1.0 envelope of every message, in structured JSON mode."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from prizewire_contracts.text import Ascii, EventLine, Word
from prizewire_contracts.traces import Traceparent

CONTENT_TYPE = "application/cloudevents+json"
"""The Kafka header ``content-type`` of structured mode (CloudEvents Kafka protocol binding 1.0, section 3.3)."""


_WRITTEN = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        msg = "a timestamp needs its offset"
        raise ValueError(msg)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        msg = "the moment lies outside the calendar"
        raise ValueError(msg) from None


def _read_moment(value: object) -> datetime:
    """A moment is RFC 3339 text; a number of seconds is refused, as number and as text."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or _WRITTEN.fullmatch(value) is None:
        msg = "a timestamp is RFC 3339 text"
        raise ValueError(msg)
    return datetime.fromisoformat(value.upper())


Timestamp = Annotated[datetime, BeforeValidator(_read_moment), AfterValidator(_aware)]
"""RFC 3339 with an offset."""
Amount = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?$", max_length=40)]
"""A non-negative decimal string; never a number. Its asset says how many decimals it may have."""
Score = Annotated[str, StringConstraints(pattern=r"^-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,6})?$", max_length=20)]
"""A score: a decimal string, negative allowed."""
AssetCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,11}$")]
Short = Annotated[str, StringConstraints(max_length=128, pattern=r"^[!-~]*$")]
"""Visible ASCII, perhaps none."""
CorrelationId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
HexSignature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
Version = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
"""A whole number; text of digits and booleans are refused."""


class Data(BaseModel):
    """Base of every event's payload: immutable; unknown fields are ignored, so that fields may be added."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Envelope(BaseModel):
    """CloudEvents attributes and Prizewire's extensions; each event type narrows ``type`` and adds ``data``.

    ``correlationid`` runs unbroken from a match to its paid prizes and is the Kafka key. ``aggregateversion``
    counts the events of one ``subject`` from one ``source``, from 1 and without gaps. ``keyid`` and ``signature``
    are set on signed events. Unknown extension attributes are allowed, as CloudEvents wants it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    signed: ClassVar[bool] = False
    """Whether consumers require the producing service's signature. True for every event of a service: an
    unsigned one could use up an aggregate version and so hide the authentic event that carries it."""
    producer: ClassVar[str | None] = None
    """The only service that may produce this type; None for game servers, and where any producer of the topic may."""
    keyed_by_subject: ClassVar[bool] = False
    """Whether the Kafka key is the subject, so that all events of a subject are in one partition whatever they concern."""

    specversion: Literal["1.0"] = "1.0"
    id: EventLine
    source: Ascii
    type: Word
    time: Timestamp
    subject: EventLine
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Ascii | None = None
    correlationid: CorrelationId | None = None
    causationid: EventLine | None = None
    aggregateversion: Version | None = None
    keyid: Short | None = None
    signature: HexSignature | None = None
    traceparent: Traceparent = None
    data: Any


class ServiceEnvelope(Envelope):
    """An event of one of our services: correlation id and aggregate version are always there."""

    correlationid: CorrelationId
    aggregateversion: Version
