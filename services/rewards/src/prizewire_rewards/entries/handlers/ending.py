"""The end of rounds for their entries: fees are earned or refunded, a few at once, many by a job."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from prizewire_rewards.entries.domain import (
    Entry,
    EntryChanged,
    EntryEnd,
    EntryRound,
    close_entry,
)
from prizewire_rewards.entries.handlers.entering import EntryCounts, cause_of, counts_of
from prizewire_rewards.entries.ports import EntryPorts
from prizewire_rewards.ledger.domain.records import Transition
from prizewire_rewards.ledger.handlers import Booking, UnitOfWork
from prizewire_rewards.payouts.ports import PayoutTools

CLOSED_INLINE_MAX: Final = 200
"""The most entries that are closed in the transaction that ends their round. A job closes more."""
CLOSED_AT_ONCE_MAX: Final = 1_000
"""The most entries that the job closes in one transaction."""


async def close_entries(
    rounds: Mapping[UUID, EntryEnd], *, ports: EntryPorts, tools: PayoutTools, now: datetime
) -> EntryCounts:
    """End rounds for their entries, in the transaction that ends them for their prizes. A few entries are closed at
    once, many by a job. The end of a round does not change. A void is stored also for a round without entries.
    """
    known = await ports.entries.lock_rounds(rounds)
    ending: dict[UUID, EntryRound] = {}
    for round_id, end in rounds.items():
        round_ = known.get(round_id)
        if round_ is None:
            if end is EntryEnd.EARNED:
                continue
            round_ = EntryRound(round_id=round_id)
        if round_.end is None:
            ending[round_id] = replace(round_, open=False, end=end, closing=True)
    return await _end(ending, disowned=(), ports=ports, tools=tools, now=now)


async def disown_entries(
    round_id: UUID, *, known: EntryRound | None, ports: EntryPorts, tools: PayoutTools, now: datetime
) -> EntryCounts:
    """End a disowned round for its entries: paid and earned entries are refunded. The account of entry fees must cover the
    earned ones. ``known`` is the locked round, None where there is none.
    """
    round_ = EntryRound(round_id=round_id) if known is None else known
    disowned = replace(round_, open=False, end=EntryEnd.REFUNDED, closing=True)
    return await _end({round_id: disowned}, disowned=[round_id], ports=ports, tools=tools, now=now)


async def _end(
    ending: dict[UUID, EntryRound],
    *,
    disowned: Collection[UUID],
    ports: EntryPorts,
    tools: PayoutTools,
    now: datetime,
) -> EntryCounts:
    if not ending:
        return {}
    found = await ports.entries.lock_unclosed(ending, disowned=disowned, limit=CLOSED_INLINE_MAX + 1)
    counts: EntryCounts = {}
    if len(found) <= CLOSED_INLINE_MAX:
        counts = await _close(found, rounds=ending, ports=ports, tools=tools, now=now)
        ending = {key: replace(round_, closing=False) for key, round_ in ending.items()}
    await ports.entries.save_rounds(list(ending.values()), now=now)
    return counts


async def close_next(*, ports: EntryPorts, tools: PayoutTools, now: datetime) -> EntryCounts | None:
    """Close some entries of one round that has ended. Returns their counts; None where no round has entries to close."""
    round_ = await ports.entries.lock_closing()
    if round_ is None:
        return None
    rounds = {round_.round_id: round_}
    disowned = await ports.entries.disowned(rounds)
    found = await ports.entries.lock_unclosed(rounds, disowned=disowned, limit=CLOSED_AT_ONCE_MAX)
    counts = await _close(found, rounds=rounds, ports=ports, tools=tools, now=now)
    if len(found) < CLOSED_AT_ONCE_MAX:
        await ports.entries.save_rounds([replace(round_, closing=False)], now=now)
    return counts


async def _close(
    entries: Sequence[Entry],
    *,
    rounds: Mapping[UUID, EntryRound],
    ports: EntryPorts,
    tools: PayoutTools,
    now: datetime,
) -> EntryCounts:
    if not entries:
        return {}
    uow = UnitOfWork(ports, now=now)
    closed: list[Entry] = []
    for entry in entries:
        after, moves = close_entry(entry, end=rounds[entry.round_id].end, assets=tools.assets)
        uow.bookings.append(Booking(moves, cause=cause_of(after), correlation_id=entry.correlation_id))
        uow.transitions.append(
            Transition(
                "entry",
                entry.id,
                was=entry.state,
                to=after.state,
                cause=f"round/{entry.round_id}",
                correlation_id=entry.correlation_id,
            )
        )
        uow.events.append(EntryChanged(entry=after))
        closed.append(after)
    await uow.recover_debts()
    await ports.entries.save(closed, now=now)
    await uow.save()
    return counts_of(closed)
