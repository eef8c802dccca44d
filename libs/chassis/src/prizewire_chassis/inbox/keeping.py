"""Stuck messages made of refused ones, and which messages of a batch share a transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from prizewire_chassis.inbox.stuck import Stuck
from prizewire_chassis.inbox.types import ConsumerSpec, Incoming, Record, Refusal, Unreadable
from prizewire_contracts.decode import EventRefused, signed_position
from prizewire_contracts.trust import TrustStore

PORTION_BYTES_MAX = 4 * 1024 * 1024
"""How many bytes of messages are decoded together, and stored together if they are refused. One message may have more."""


def in_portions(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Split a batch so that its decoded messages, and one INSERT of them, take a bounded amount of memory and time."""
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

    Two different events under one id get different transactions: the inbox holds the first one only after it was applied.
    A parked message ends its transaction: the following events of its subject must find it in the database.
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
    """The stuck message for one that could not be decoded or authenticated.

    It is dead and parks nothing. But where its signature is valid, the message is authentic and only its content cannot be
    read. Then it is parked, so that no newer event of its subject is applied before it. It remains a breach of
    ``events.none_is_parked`` until it is replayed or discarded.
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
    place = signed_position(topic=spec.topic, value=stuck.value, trust=trust)
    if place is not None and _concerned(spec, place[0], source=place[1]):
        kind, source, subject, version = place
        stuck = replace(stuck, state="parked", type=kind, source=source, subject=subject, version=version)
    correlation = spec.correlation(named=stuck.correlation_id, source=stuck.source, subject=stuck.subject)
    return replace(stuck, correlation_id=correlation)


def _concerned(spec: ConsumerSpec, event_type: str, *, source: str) -> bool:
    """Whether a consumer handles events of this type from this source, or of another version of it."""
    stem = event_type.rpartition(".")[0]
    versions = {name for name in spec.topic.models if name.rpartition(".")[0] == stem}
    return any(spec.concerns(name, source=source) for name in versions | {event_type})


def kept_event(spec: ConsumerSpec, item: Incoming, refusal: Refusal) -> Stuck:
    """The stuck message for an event that was refused after it was decoded."""
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
