"""``prizewire.audit.v1``: admin and security actions, hash-chained by service. Subject: the service."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from prizewire_contracts.envelope import CorrelationId, Data, Digest, ServiceEnvelope, Timestamp
from prizewire_contracts.text import EventLine, EventReason, Word


class AuditRecorded(Data):
    """One link of a service's audit chain.

    ``hash`` is the SHA-256 of the canonical JSON of the record without ``hash``, ``prev_hash`` included; the
    first record's ``prev_hash`` is 64 zeros. No secrets, no personal payout details.
    """

    service: Word
    sequence: Annotated[int, Field(ge=1)]
    at: Timestamp
    actor: EventLine
    action: Word
    target: EventReason
    reason: EventReason | None = None
    detail: dict[str, Any] = Field(default_factory=dict)
    correlation_id: CorrelationId
    prev_hash: Digest
    hash: Digest


class AuditRecordedEvent(ServiceEnvelope):
    """Envelope of ``audit.recorded``; any service produces it for itself, and signs it."""

    signed: ClassVar[bool] = True
    keyed_by_subject: ClassVar[bool] = True

    type: Literal["prizewire.audit.recorded.v1"] = "prizewire.audit.recorded.v1"
    data: AuditRecorded


AuditEvent = Annotated[AuditRecordedEvent, Field()]
