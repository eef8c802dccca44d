"""`prizewire.audit.v1`: the signer's records, each of which must continue the chain of those before it."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import GENESIS, link_hash
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, strict
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.encode import source_of
from prizewire_contracts.events.audit import AuditRecorded, AuditRecordedEvent
from prizewire_contracts.topics import AUDIT
from prizewire_payouts.signer_audit.storage import CONSUMER, SIGNER, append, newest_hash

SOURCE: Final = source_of(SIGNER)


def signer_audit_spec() -> ConsumerSpec:
    """The consumer of the signer's records. Versions are the numbers of the records: a missing one parks those behind it, and a
    discarded one stays missing until the genuine record comes or is replayed.
    """
    return ConsumerSpec(
        name=CONSUMER,
        topic=AUDIT,
        handler=keep_records,
        version_rule=strict,
        sources=frozenset({SOURCE}),
        chained=True,
    )


async def keep_records(tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
    """Store records in their order. One that does not continue the chain is parked, and those behind it wait."""
    previous = await newest_hash(tx) or GENESIS
    kept: list[AuditRecorded] = []
    refused: dict[int, Refusal] = {}
    for index, item in enumerate(batch):
        event = item.event
        assert isinstance(event, AuditRecordedEvent)
        wrong = _wrong(event, raw=item.raw["data"], previous=previous)
        if wrong is not None:
            # the processor applies those behind it in a batch of their own, where they wait
            refused[index] = Refusal(RefusalCode.EVENT_MISMATCH, wrong, park=True)
            continue
        kept.append(event.data)
        previous = event.data.hash
    await append(tx, kept)
    return refused


def _wrong(event: AuditRecordedEvent, *, raw: Mapping[str, object], previous: str) -> str | None:
    """Why a record does not continue the chain; None for one that does. ``previous`` is the hash of the newest kept record."""
    record = event.data
    if (record.service, event.subject, record.sequence) != (SIGNER, SIGNER, event.aggregateversion):
        return f"record {record.sequence} of {record.service} came as version {event.aggregateversion} of {event.subject}"
    if link_hash(raw) != record.hash:
        return f"audit record {record.sequence} of the signer has other content than its hash"
    if record.prev_hash != previous:
        return f"audit record {record.sequence} of the signer does not continue record {record.sequence - 1}"
    return None
