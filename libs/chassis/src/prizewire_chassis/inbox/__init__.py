"""Processing a batch of messages: one transaction for inbox rows, domain changes, outbox rows and offsets.

Every message has exactly one outcome: applied, without effect (a duplicate or an older version), dead (refused before it
changed state) or parked (authentic, but not applicable yet; later events of its subject wait behind it). Nothing is
dropped, and no message is given up because the database or the broker is unavailable.
"""

from prizewire_chassis.inbox.processor import BatchProcessor
from prizewire_chassis.inbox.types import (
    OFFERED,
    Admission,
    ConsumerSpec,
    Handler,
    Incoming,
    Record,
    Refusal,
    Stopping,
    StoredOffset,
    VersionRule,
    never,
    strict,
)

__all__ = [
    "OFFERED",
    "Admission",
    "BatchProcessor",
    "ConsumerSpec",
    "Handler",
    "Incoming",
    "Record",
    "Refusal",
    "Stopping",
    "StoredOffset",
    "VersionRule",
    "never",
    "strict",
]
