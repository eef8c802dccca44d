"""How a batch of messages is taken in: one transaction for inbox rows, domain changes, outbox rows and offsets.

Every message ends in exactly one way: applied, without effect (a duplicate or an older version), dead (refused
before it touched state) or parked (authentic, but it cannot be applied; later events of its subject wait behind
it). Nothing is dropped, and no message is given up because the database or the broker is away.
"""

from prizewire_chassis.inbox.processor import BatchProcessor
from prizewire_chassis.inbox.types import (
    OFFERED,
    Admission,
    ConsumerSpec,
    Handler,
    Incoming,
    Reached,
    Record,
    Refusal,
    Stopping,
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
    "Reached",
    "Record",
    "Refusal",
    "Stopping",
    "VersionRule",
    "never",
    "strict",
]
