"""Entries and top-ups of a batch, taken in beside what else the batch holds."""

from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import Incoming
from prizewire_money import AssetRegistry
from prizewire_rewards import metrics
from prizewire_rewards.domain.commands import EntryCommand, TopupCommand
from prizewire_rewards.domain.entries import EntryEnd
from prizewire_rewards.domain.errors import Refused
from prizewire_rewards.entrypoints.money_events import (
    ENTRY_TYPES,
    TOPUP_TYPES,
    entry_command,
    entry_ends,
    topup_command,
)
from prizewire_rewards.handlers.entries import Heard, enter, look_up
from prizewire_rewards.handlers.entry_ends import close_entries
from prizewire_rewards.handlers.topups import apply_topup_events, lock_intakes
from prizewire_rewards.ports import Tools, Work

Command = TypeVar("Command")
Ends = Mapping[int, tuple[UUID, EntryEnd]]
"""Rounds that end for their entries, by the index of the event that ends them."""


@dataclass(frozen=True, slots=True)
class EntryBatch:
    """What a batch holds of entries: commands with their places, rounds that end, and what was known before."""

    commands: Sequence[EntryCommand]
    places: Sequence[int]
    ends: Ends
    heard: Heard


@dataclass(frozen=True, slots=True)
class TopupBatch:
    """What a batch holds of top-ups: commands with their places, and what had come in before, by asset."""

    commands: Sequence[TopupCommand]
    places: Sequence[int]
    came_in: Mapping[str, int]


async def read_entries(
    incoming: Sequence[Incoming], *, refused: MutableMapping[int, Refused], work: Work, assets: AssetRegistry
) -> EntryBatch:
    """Read what opens rounds to entries, who enters them, and which rounds end. Rounds are locked before anything else
    is; what cannot be read is added to ``refused``.
    """
    ends = entry_ends(incoming)
    first_end: dict[str, int] = {}
    for at, (round_id, _) in ends.items():
        first_end.setdefault(str(round_id), at)

    def read(index: int, item: Incoming) -> EntryCommand | None:
        late = first_end.get(item.event.subject, index) < index
        return entry_command(item, late=late, assets=assets)

    found: tuple[list[EntryCommand], list[int]] = read_commands(incoming, ENTRY_TYPES, read, refused)
    commands, places = found
    heard = await look_up(commands, ending={round_id for round_id, _ in ends.values()}, work=work)
    return EntryBatch(commands, places, ends, heard)


async def take_entries(
    tx: AsyncConnection,
    batch: EntryBatch,
    *,
    refused: MutableMapping[int, Refused],
    unbooked: Collection[int],
    work: Work,
    tools: Tools,
    now: datetime,
) -> None:
    """Charge who entered, then end rounds for their entries, unless the event that ends them was refused, or stands at
    an index in ``unbooked``: its settlement will never be booked, so its fees are not earned by it. It comes after the
    batch's prizes, whose campaigns and rounds are locked before wallets are.

    A void is remembered even where nobody has entered; nothing is asked of the database for rounds without a fee.
    """
    rounds = batch.heard.rounds
    if batch.commands:
        done = await enter(batch.commands, heard=batch.heard, work=work, now=now)
        refused.update({batch.places[index]: problem for index, problem in done.refusals.items()})
        after_commit(tx, partial(metrics.count_entries, done.reached))
        rounds = done.rounds
    over = {
        round_id: end
        for index, (round_id, end) in batch.ends.items()
        if index not in refused
        and index not in unbooked
        and (end is EntryEnd.REFUNDED or (round_id in rounds and rounds[round_id].asset is not None))
    }
    if over:
        closed = await close_entries(over, work=work, tools=tools, now=now)
        after_commit(tx, partial(metrics.count_entries, closed))


async def read_topups(
    incoming: Sequence[Incoming], *, refused: MutableMapping[int, Refused], work: Work, assets: AssetRegistry
) -> TopupBatch:
    """Read what is said of top-ups, and lock what comes in before any account is locked; what cannot be read is added to
    ``refused``.
    """

    def read(_: int, item: Incoming) -> TopupCommand | None:
        return topup_command(item, assets=assets)

    found: tuple[list[TopupCommand], list[int]] = read_commands(incoming, TOPUP_TYPES, read, refused)
    commands, places = found
    return TopupBatch(commands, places, await lock_intakes(commands, work=work))


async def take_topups(
    tx: AsyncConnection,
    batch: TopupBatch,
    *,
    refused: MutableMapping[int, Refused],
    work: Work,
    tools: Tools,
    now: datetime,
) -> None:
    """Book what is said of top-ups; what cannot be booked is added to ``refused``."""
    if batch.commands:
        done = await apply_topup_events(
            batch.commands, came_in=batch.came_in, work=work, tools=tools, now=now
        )
        refused.update({batch.places[index]: problem for index, problem in done.refusals.items()})
        after_commit(tx, partial(metrics.count_topups, done.booked))


def read_commands(
    incoming: Sequence[Incoming],
    types: frozenset[str],
    read: Callable[[int, Incoming], Command | None],
    refused: MutableMapping[int, Refused],
) -> tuple[list[Command], list[int]]:
    """The commands of events of these types, with their places in the batch."""
    commands: list[Command] = []
    places: list[int] = []
    for index, item in enumerate(incoming):
        if item.event.type not in types:
            continue
        try:
            command = read(index, item)
        except Refused as problem:
            refused[index] = problem
            continue
        if command is not None:
            commands.append(command)
            places.append(index)
    return commands, places
