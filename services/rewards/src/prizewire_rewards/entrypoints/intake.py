"""Entries and top-ups of a batch, taken in beside what else the batch holds."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import Incoming
from prizewire_rewards import metrics
from prizewire_rewards.domain.commands import EntryCommand, TopupCommand
from prizewire_rewards.domain.entries import EntryEnd, EntryRound
from prizewire_rewards.domain.errors import Refused
from prizewire_rewards.entrypoints.money_events import (
    ENTRY_TYPES,
    TOPUP_TYPES,
    entry_command,
    round_of,
    topup_command,
)
from prizewire_rewards.handlers.entries import close_entries, enter
from prizewire_rewards.handlers.topups import apply_topup_events
from prizewire_rewards.ports import Tools, Work

__all__ = ["Ends", "end_entries", "read_commands", "take_entries", "take_topups"]

Command = TypeVar("Command")
Ends = Mapping[int, tuple[UUID, EntryEnd]]
"""Rounds that end for their entries, by the index of the event that ends them."""


async def take_entries(
    tx: AsyncConnection,
    incoming: Sequence[Incoming],
    *,
    ends: Ends,
    refused: MutableMapping[int, Refused],
    work: Work,
    tools: Tools,
    now: datetime,
) -> Mapping[UUID, EntryRound]:
    """Take in what opens rounds to entries and who enters them. Answers those rounds of the batch that ask a fee, locked
    before anything else is; what cannot be taken is added to ``refused``.
    """
    first_end: dict[str, int] = {}
    for at, (round_id, _) in ends.items():
        first_end.setdefault(str(round_id), at)

    def read(index: int, item: Incoming) -> EntryCommand | None:
        late = first_end.get(item.event.subject, index) < index
        return entry_command(item, late=late, assets=tools.assets)

    found: tuple[list[EntryCommand], list[int]] = read_commands(incoming, ENTRY_TYPES, read, refused)
    commands, places = found
    concerned = {round_id for round_id, _ in ends.values()} | {round_of(command) for command in commands}
    if not concerned:
        return {}
    known: Mapping[UUID, EntryRound] = await work.entries.lock_rounds(concerned)
    if commands:
        done = await enter(commands, known=known, work=work, now=now)
        refused.update({places[index]: problem for index, problem in done.refusals.items()})
        after_commit(tx, partial(metrics.count_entries, done.reached))
        known = done.rounds
    return {key: round_ for key, round_ in known.items() if round_.asset is not None}


async def end_entries(
    tx: AsyncConnection,
    *,
    ends: Ends,
    known: Mapping[UUID, EntryRound],
    refused: Mapping[int, Refused],
    work: Work,
    tools: Tools,
    now: datetime,
) -> None:
    """End rounds for their entries, unless the event that ends them was refused. A void is remembered even where nobody
    has entered; nothing is asked of the database for rounds without a fee.
    """
    over = {
        round_id: end
        for index, (round_id, end) in ends.items()
        if index not in refused and (round_id in known or end is EntryEnd.REFUNDED)
    }
    if over:
        closed = await close_entries(over, work=work, tools=tools, now=now)
        after_commit(tx, partial(metrics.count_entries, closed))


async def take_topups(
    tx: AsyncConnection,
    incoming: Sequence[Incoming],
    *,
    refused: MutableMapping[int, Refused],
    work: Work,
    tools: Tools,
    now: datetime,
) -> None:
    """Book what is said of top-ups; what cannot be booked is added to ``refused``."""

    def read(_: int, item: Incoming) -> TopupCommand | None:
        return topup_command(item, assets=tools.assets)

    found: tuple[list[TopupCommand], list[int]] = read_commands(incoming, TOPUP_TYPES, read, refused)
    commands, places = found
    if commands:
        done = await apply_topup_events(commands, work=work, tools=tools, now=now)
        refused.update({places[index]: problem for index, problem in done.refusals.items()})
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
