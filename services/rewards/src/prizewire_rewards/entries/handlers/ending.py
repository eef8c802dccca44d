"""The end of rounds for their entries: fees are earned or given back, a few at once, many by a job."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from prizewire_rewards.entries.domain import (
    ENTRY_EDGES,
    NOT_REFUNDABLE,
    Entry,
    EntryEnd,
    EntryMoved,
    EntryRound,
    EntryState,
    earned_moves,
    refunded_moves,
    reversed_moves,
)
from prizewire_rewards.entries.handlers.entering import Reached, cause_of, counted
from prizewire_rewards.entries.ports import EntryPorts
from prizewire_rewards.ledger.domain.moves import credits_of
from prizewire_rewards.ledger.domain.transitions import Transition, step
from prizewire_rewards.ledger.handlers.journal import Journal
from prizewire_rewards.payouts.handlers.crediting import Credited, follow_up
from prizewire_rewards.payouts.ports import PayoutTools

CLOSED_INLINE_MAX: Final = 200
"""Entries that are closed in the transaction that ends their round; where there are more, a job closes them all."""
CLOSED_AT_ONCE_MAX: Final = 1_000
"""Entries that the job closes in one transaction."""


async def close_entries(
    rounds: Mapping[UUID, EntryEnd], *, ports: EntryPorts, tools: PayoutTools, now: datetime
) -> Reached:
    """End rounds for their entries, in the transaction that ends them for their prizes. A few entries are closed at
    once, many by a job. What has ended once stays so; a round that is voided before anybody entered is remembered.
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
) -> Reached:
    """End a disowned round for its entries: paid ones are refunded as at a void, and earned ones as well. The account of
    entry fees has to reach. ``known`` is what was known of it, locked.
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
) -> Reached:
    if not ending:
        return {}
    found = await ports.entries.lock_unclosed(ending, disowned=disowned, limit=CLOSED_INLINE_MAX + 1)
    reached: Reached = {}
    if len(found) <= CLOSED_INLINE_MAX:
        reached = await _close(found, rounds=ending, ports=ports, tools=tools, now=now)
        ending = {key: replace(round_, closing=False) for key, round_ in ending.items()}
    await ports.entries.save_rounds(list(ending.values()), now=now)
    return reached


async def close_next(*, ports: EntryPorts, tools: PayoutTools, now: datetime) -> Reached | None:
    """Close some entries of one round that has ended; None when no round waits for it."""
    round_ = await ports.entries.lock_closing()
    if round_ is None:
        return None
    rounds = {round_.round_id: round_}
    disowned = await ports.entries.disowned(rounds)
    found = await ports.entries.lock_unclosed(rounds, disowned=disowned, limit=CLOSED_AT_ONCE_MAX)
    reached = await _close(found, rounds=rounds, ports=ports, tools=tools, now=now)
    if len(found) < CLOSED_AT_ONCE_MAX:
        await ports.entries.save_rounds([replace(round_, closing=False)], now=now)
    return reached


async def _close(
    entries: Sequence[Entry],
    *,
    rounds: Mapping[UUID, EntryRound],
    ports: EntryPorts,
    tools: PayoutTools,
    now: datetime,
) -> Reached:
    if not entries:
        return {}
    journal = Journal()
    credited: list[Credited] = []
    closed: list[Entry] = []
    transitions: list[Transition] = []
    for entry in entries:
        end = rounds[entry.round_id].end
        refunds = end is EntryEnd.REFUNDED and tools.assets[entry.asset].redeemable
        if refunds:
            moves = reversed_moves(entry) if entry.state is EntryState.EARNED else refunded_moves(entry)
            state, code = EntryState.REFUNDED, None
        elif end is EntryEnd.REFUNDED:
            state, moves, code = EntryState.CLOSED, earned_moves(entry), NOT_REFUNDABLE
        else:
            state, moves, code = EntryState.EARNED, earned_moves(entry), None
        state = step(edges=ENTRY_EDGES, was=entry.state, to=state)
        moved = replace(entry, state=state, code=code, version=entry.version + 1)
        cause = cause_of(moved)
        journal.add(moves, cause=cause, correlation_id=entry.correlation_id)
        credited.extend(Credited(credit, cause, entry.correlation_id) for credit in credits_of(moves))
        closed.append(moved)
        transitions.append(
            Transition("entry", entry.id, entry.state, state, f"round/{entry.round_id}", entry.correlation_id)
        )
    await ports.ledger.post(journal.transfers, now=now)
    await follow_up(credited, ports=ports, tools=tools, now=now)
    await ports.entries.save(closed, now=now)
    await ports.history.add(transitions, now=now)
    await ports.messages.publish([EntryMoved(entry=entry) for entry in closed])
    return counted(closed)
