"""Refuse unauthenticated events before deduplication: before anything is looked up or stored under their ids."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import is_transient
from prizewire_chassis.inbox.outcome import BatchOutcome
from prizewire_chassis.inbox.statements import inbox_hashes
from prizewire_chassis.inbox.types import ConsumerSpec, Incoming, Refusal
from prizewire_chassis.metrics.labels import EventOutcome


class AdmissionFailed(Exception):
    """The consumer's admission raised an error. The event is not authenticated then, so it must not park anything."""


async def admit(
    tx: AsyncConnection, spec: ConsumerSpec, coming: Sequence[tuple[int, Incoming]], outcome: BatchOutcome
) -> tuple[Sequence[tuple[int, Incoming]], dict[int, Refusal]]:
    """The admitted events, and refusals by index. No refusal parks.

    An event that is in the inbox already is a duplicate, whatever the admission says of it now: its key may have been
    removed since. An event that is replayed from the parked state was never applied, so the admission decides on it again.

    Raises:
        AdmissionFailed: the consumer's admission raised an error that is not transient.
    """
    if spec.admit is None or not coming:
        return coming, {}
    try:
        answer = await spec.admit(tx, [item for _, item in coming])
    except Exception as error:
        if is_transient(error):
            raise
        raise AdmissionFailed from error
    if not answer:
        return coming, {}
    refusals: dict[int, Refusal] = {}
    known = await inbox_hashes(tx, consumer=spec.name, keys={coming[place][1].key for place in answer})
    for place, refusal in answer.items():
        index, item = coming[place]
        if item.replay_of != "parked" and known.get(item.key) == item.hash:
            outcome.skip(EventOutcome.DUPLICATE)
        else:
            refusals[index] = replace(refusal, park=False)
    return [entry for place, entry in enumerate(coming) if place not in answer], refusals
