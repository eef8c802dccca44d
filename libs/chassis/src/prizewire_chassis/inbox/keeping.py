"""How a message that cannot be applied is kept, and which messages of a batch share a transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from prizewire_chassis.inbox.stuck import Stuck
from prizewire_chassis.inbox.types import ConsumerSpec, Incoming, Record, Refusal, Unreadable
from prizewire_contracts.decode import EventRefused, vouched_place
from prizewire_contracts.trust import TrustStore

PORTION_BYTES_MAX = 4 * 1024 * 1024
"""How many bytes of messages are decoded, and kept if they are refused, in one go; a single message may have more."""


def in_portions(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Split a batch so that neither its decoded messages nor one INSERT of them take more memory or time than is there."""
    begin = size = 0
    for place, record in enumerate(records):
        weight = len(record.value or b"")
        if place > begin and size + weight > PORTION_BYTES_MAX:
            yield records[begin:place]
            begin, size = place, 0
        size += weight
    if begin < len(records):
        yield records[begin:]


def in_chunks(items: Sequence[Incoming | Stuck]) -> list[list[Incoming | Stuck]]:
    """Split a batch into transactions.

    Two different events under one id are kept apart: whether the first counts is known only when it was applied. What
    follows a parked message is kept apart from it: whether its subject is parked is looked up.
    """
    chunks: list[list[Incoming | Stuck]] = [[]]
    hashes: dict[tuple[str, str], bytes] = {}
    for item in items:
        if isinstance(item, Incoming):
            if hashes.get(item.key, item.hash) != item.hash:
                chunks.append([])
                hashes.clear()
            hashes[item.key] = item.hash
        chunks[-1].append(item)
        if isinstance(item, Stuck) and item.state == "parked":
            chunks.append([])
            hashes.clear()
    return [chunk for chunk in chunks if chunk]


def kept_message(spec: ConsumerSpec, record: Record, refused: EventRefused, *, trust: TrustStore) -> Stuck:
    """A message that could not be decoded or authenticated.

    It is dead, and parks nothing. Where its producer signed it, it is authentic and only its content cannot be read: it
    is parked, so that nothing newer of its subject goes past it, and stays a breach until it is replayed or discarded.
    """
    stuck = Stuck.of_refused(
        consumer=spec.name,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        value=record.value or b"",
        refused=refused,
    )
    if isinstance(record.value, Unreadable):
        return stuck
    place = vouched_place(topic=spec.topic, value=stuck.value, trust=trust)
    if place is not None and _concerned(spec, place[0]):
        kind, source, subject, version = place
        stuck = replace(stuck, state="parked", type=kind, source=source, subject=subject, version=version)
    correlation = spec.correlation(named=stuck.correlation_id, source=stuck.source, subject=stuck.subject)
    return replace(stuck, correlation_id=correlation)


def _concerned(spec: ConsumerSpec, event_type: str) -> bool:
    """Whether a consumer looks at events of a type, or at those of another version of it."""
    stem = event_type.rpartition(".")[0]
    versions = {name for name in spec.topic.models if name.rpartition(".")[0] == stem}
    return any(spec.concerns(name) for name in versions | {event_type})


def kept_event(spec: ConsumerSpec, item: Incoming, refusal: Refusal) -> Stuck:
    """An event that was refused after it was decoded."""
    return Stuck(
        consumer=spec.name,
        topic=item.topic,
        partition=item.partition,
        offset=item.offset,
        event_id=item.event.id,
        source=item.event.source,
        subject=item.event.subject,
        type=item.event.type,
        version=item.event.aggregateversion,
        correlation_id=spec.correlation(
            named=item.event.correlationid, source=item.event.source, subject=item.event.subject
        ),
        state="parked" if refusal.park else "dead",
        reason=str(refusal.code),
        detail=refusal.detail,
        value=item.value,
    )
