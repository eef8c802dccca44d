"""Events about entries become commands of one batch."""

from collections.abc import Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import Incoming
from prizewire_contracts.events import settlements as settlement_events
from prizewire_money import AssetRegistry
from prizewire_rewards import metrics
from prizewire_rewards.entries.domain import (
    CloseEntry,
    EnterRound,
    EntryCommand,
    EntryEnd,
    EntryRound,
    OpenEntry,
)
from prizewire_rewards.entries.handlers.ending import close_entries
from prizewire_rewards.entries.handlers.entering import RoundSnapshot, enter, load_snapshot
from prizewire_rewards.entries.ports import EntryPorts
from prizewire_rewards.errors import Refused
from prizewire_rewards.ledger.consumers import amount_of, same_subject
from prizewire_rewards.payouts.ports import PayoutTools

ENTRY_TYPES: Final = frozenset(
    {"prizewire.round.opened.v1", "prizewire.round.closed.v1", "prizewire.round.entered.v1"}
)


def entry_command(item: Incoming, *, assets: AssetRegistry) -> EntryCommand | None:
    """The command of an event of the settlements topic; None where the event is not about entries.

    Raises:
        Refused: its subject, asset or amount cannot be read.
    """
    event = item.event
    if isinstance(event, settlement_events.RoundClosedEvent):
        same_subject(event.subject, event.data.round_id)
        return CloseEntry(round_id=event.data.round_id)
    if isinstance(event, settlement_events.RoundOpenedEvent):
        same_subject(event.subject, event.data.round_id)
        return OpenEntry(
            round=_round(event.data, event.data.entry_fee, correlation=event.correlationid, assets=assets)
        )
    if isinstance(event, settlement_events.RoundEnteredEvent):
        data = event.data
        same_subject(event.subject, data.round_id)
        # A wrong entry concerns one player, so it must not park the round's other events.
        try:
            round_ = _round(data, data.fee, correlation=event.correlationid, assets=assets)
        except Refused as problem:
            raise Refused(problem.code, problem.detail, park=False) from None
        return EnterRound(
            entry_id=data.entry_id,
            round=round_,
            player=data.player,
            asset=round_.asset or "",
            amount=round_.fee or 0,
            cause=event.id,
        )
    return None


def _round(
    data: settlement_events.RoundProgress | settlement_events.RoundEntered,
    fee: settlement_events.EntryFee | None,
    *,
    correlation: str,
    assets: AssetRegistry,
) -> EntryRound:
    amount = None if fee is None else amount_of(assets, fee.asset, fee.amount)
    charged = amount if amount is not None and amount.minor else None
    return EntryRound(
        round_id=data.round_id,
        match_id=data.match_id,
        match_source=data.match_source,
        competition=data.competition,
        correlation_id=correlation,
        asset=None if charged is None else charged.asset.code,
        fee=None if charged is None else charged.minor,
    )


def _entry_ends(incoming: Sequence[Incoming]) -> Mapping[int, tuple[UUID, EntryEnd]]:
    """Rounds that end for their entries, by the index of the event that ends them: the last part of a final settlement,
    finality, or a void.
    """
    found: dict[int, tuple[UUID, EntryEnd]] = {}
    for index, item in enumerate(incoming):
        event = item.event
        if isinstance(event, settlement_events.RoundSettledEvent):
            if event.data.final and event.data.part == event.data.parts:
                found[index] = (event.data.round_id, EntryEnd.EARNED)
        elif isinstance(event, settlement_events.RoundFinalizedEvent):
            found[index] = (event.data.round_id, EntryEnd.EARNED)
        elif isinstance(event, settlement_events.RoundVoidedEvent):
            found[index] = (event.data.round_id, EntryEnd.REFUNDED)
    return found


Ends = Mapping[int, tuple[UUID, EntryEnd]]
"""Rounds that end for their entries, by the index of the event that ends them."""


@dataclass(frozen=True, slots=True)
class EntryBatch:
    """The commands about entries of a batch, their indexes in the batch, the rounds that end, and the snapshot of the
    rounds.
    """

    commands: Sequence[EntryCommand]
    places: Sequence[int]
    ends: Ends
    snapshot: RoundSnapshot


async def lock_entries(
    commands: Sequence[EntryCommand],
    places: Sequence[int],
    incoming: Sequence[Incoming],
    *,
    ports: EntryPorts,
) -> EntryBatch:
    """Lock the rounds that a batch opens, closes, enters or ends, which comes before all other locks. ``commands`` are those
    of the events at ``places`` of the batch.
    """
    ends = _entry_ends(incoming)
    first_end: dict[UUID, int] = {}
    for index, (round_id, _) in ends.items():
        first_end.setdefault(round_id, index)
    ordered = [
        replace(command, late=True)
        if isinstance(command, EnterRound) and first_end.get(command.round.round_id, index) < index
        else command
        for index, command in zip(places, commands, strict=True)
    ]
    snapshot = await load_snapshot(ordered, ending=first_end, ports=ports)
    return EntryBatch(ordered, places, ends, snapshot)


async def apply_entries(
    tx: AsyncConnection,
    batch: EntryBatch,
    *,
    refused: MutableMapping[int, Refused],
    unbooked: Collection[int],
    ports: EntryPorts,
    tools: PayoutTools,
    now: datetime,
) -> None:
    """Charge the entries of a batch, then end rounds for their entries.

    An event that was refused ends no round. An index in ``unbooked`` is a settlement that is never booked: it earns no
    fees. Call it after the batch's prizes, because campaigns and rounds are locked before wallets.

    A void is stored also for a round without entries. Rounds without a fee need no statement.
    """
    rounds = batch.snapshot.rounds
    if batch.commands:
        result = await enter(batch.commands, snapshot=batch.snapshot, ports=ports, now=now)
        refused.update({batch.places[index]: problem for index, problem in result.refusals.items()})
        after_commit(tx, partial(metrics.count_entries, result.counts))
        rounds = result.rounds
    ended = {
        round_id: end
        for index, (round_id, end) in batch.ends.items()
        if index not in refused
        and index not in unbooked
        and (end is EntryEnd.REFUNDED or (round_id in rounds and rounds[round_id].asset is not None))
    }
    if ended:
        closed = await close_entries(ended, ports=ports, tools=tools, now=now)
        after_commit(tx, partial(metrics.count_entries, closed))
