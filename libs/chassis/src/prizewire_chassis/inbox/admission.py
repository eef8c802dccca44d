"""The door: what nobody vouches for is turned away before anything is looked up or stored under its name."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import is_transient
from prizewire_chassis.inbox.statements import inbox_hashes
from prizewire_chassis.inbox.taken import Taken
from prizewire_chassis.inbox.types import ConsumerSpec, Incoming, Refusal


class AdmissionFailed(Exception):
    """Whether an event may come in could not be said. Nobody vouches for it then, so it must not park anything."""


async def admit(
    tx: AsyncConnection, spec: ConsumerSpec, coming: Sequence[tuple[int, Incoming]], taken: Taken
) -> tuple[Sequence[tuple[int, Incoming]], dict[int, Refusal]]:
    """Those that may come in, and refusals by index, none of which parks.

    An event that came in before is a duplicate, whatever is said of it now: its key may have been taken out since. One
    that is replayed out of a parked state was never applied, and is judged anew.

    Raises:
        AdmissionFailed: the consumer's admission raised what will not pass by itself.
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
            taken.skip("duplicate")
        else:
            refusals[index] = replace(refusal, park=False)
    return [entry for place, entry in enumerate(coming) if place not in answer], refusals
