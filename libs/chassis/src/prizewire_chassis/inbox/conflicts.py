"""Audit records of events that contradict an applied event: one of the two was not sent by the producer."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.inbox.types import ConsumerSpec, Incoming, Refusal
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.encode import source_of

_SERVICES = source_of("")


async def record_conflicts(
    tx: AsyncConnection,
    audit: Audit | None,
    spec: ConsumerSpec,
    items: Sequence[object],
    refusals: Mapping[int, Refusal],
) -> None:
    """Write one audit record for a batch that has events of services under versions or ids that were applied with other
    events. It names the first of them and their number. Each of them is stored as a stuck event as well. Replays are not
    recorded here.
    """
    found = [
        (item, refusal.code)
        for index, refusal in sorted(refusals.items())
        if isinstance(item := items[index], Incoming)
        and _contradicts(refusal, item)
        and item.replay_of is None
    ]
    if not found or audit is None:
        return
    first, code = found[0]
    await audit.record(
        tx,
        actor=spec.name,
        action="event.version_conflict",
        target=first.event.subject,
        reason=str(code),
        detail={
            "source": first.event.source,
            "event_id": first.event.id,
            "type": first.event.type,
            "version": first.event.aggregateversion,
            "sha256": first.hash.hex(),
            "place": f"{first.topic}/{first.partition}/{first.offset}",
            "events": len(found),
        },
        correlation_id=first.event.correlationid,
    )


def _contradicts(refusal: Refusal, item: Incoming) -> bool:
    """A service numbers its events, and their ids follow from the numbers. A game server may use an id twice by mistake."""
    if refusal.code is RefusalCode.ID_CONFLICT:
        return item.event.source.startswith(_SERVICES)
    return refusal.code is RefusalCode.VERSION_CONFLICT
