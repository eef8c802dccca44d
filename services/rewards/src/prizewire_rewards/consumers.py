"""Batches from Kafka: events become commands, handlers apply them, refusals return to the inbox."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, VersionRule
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.topics import PAYOUTS, SETTLEMENTS
from prizewire_rewards import metrics
from prizewire_rewards.claims.domain import HOLD_CLASSES
from prizewire_rewards.entries.consumers import (
    ENTRY_TYPES,
    apply_entries,
    entry_command,
    lock_entries,
)
from prizewire_rewards.entries.domain import EntryCommand
from prizewire_rewards.errors import Refused
from prizewire_rewards.payouts.consumers import _METHOD_TYPES, _PAYOUT_TYPES, _payout_command
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.payouts.handlers.outcomes import PayoutEvent, apply_payout_events
from prizewire_rewards.rounds.consumers import _SETTLEMENT_TYPES, _settlement_command
from prizewire_rewards.rounds.domain.commands import RoundCommand
from prizewire_rewards.rounds.handlers.settlements import apply_settlements
from prizewire_rewards.rounds.ports import RoundTools
from prizewire_rewards.storage import Ports
from prizewire_rewards.topups.consumers import TOPUP_TYPES, apply_topups, lock_topups, topup_command
from prizewire_rewards.topups.domain import TopupCommand


def build_specs(
    *,
    ports_of: Callable[[AsyncConnection], Ports],
    tools: RoundTools,
    clock: Clock,
    work_on: Callable[[], None],
) -> list[ConsumerSpec]:
    """The two consumers: settlements, and payouts with payout methods. ``work_on`` wakes the job for large rounds."""

    async def settlements(tx: AsyncConnection, incoming: Sequence[Incoming]) -> Mapping[int, Refusal]:
        refused: dict[int, Refused] = {}
        ports, now = ports_of(tx), clock.now()
        entering: tuple[list[EntryCommand], list[int]] = _read_commands(
            incoming, ENTRY_TYPES, partial(entry_command, assets=tools.assets), refused
        )
        entries = await lock_entries(*entering, incoming, ports=ports)
        found: tuple[list[RoundCommand], list[int]] = _read_commands(
            incoming,
            _SETTLEMENT_TYPES,
            partial(_settlement_command, assets=tools.assets),
            refused,
        )
        commands, places = found
        unbooked: set[int] = set()
        if commands:
            done = await apply_settlements(commands, ports=ports, tools=tools, now=now)
            refused.update({places[index]: problem for index, problem in done.refusals.items()})
            unbooked = {places[index] for index in done.unbooked}
            after_commit(tx, partial(metrics.count_rounds, **asdict(done.booked), assets=tools.assets))
            after_commit(tx, partial(metrics.DISOWNED_EVENTS.inc, done.disowned))
            if done.refused:
                after_commit(tx, partial(_count_refused, done.refused))
            if done.booked.work:
                after_commit(tx, work_on)
            if done.held:
                after_commit(tx, partial(_count_held, done.held))
        await apply_entries(
            tx, entries, refused=refused, unbooked=unbooked, ports=ports, tools=tools, now=now
        )
        return _refusals(tx, refused)

    async def payouts(tx: AsyncConnection, incoming: Sequence[Incoming]) -> Mapping[int, Refusal]:
        refused: dict[int, Refused] = {}
        ports, now = ports_of(tx), clock.now()
        topups: tuple[list[TopupCommand], list[int]] = _read_commands(
            incoming, TOPUP_TYPES, partial(topup_command, assets=tools.assets), refused
        )
        locked = await lock_topups(*topups, ports=ports) if topups[0] else None
        found: tuple[list[PayoutEvent], list[int]] = _read_commands(
            incoming,
            _METHOD_TYPES | _PAYOUT_TYPES,
            partial(_payout_command, assets=tools.assets),
            refused,
        )
        commands, places = found
        if commands:
            done = await apply_payout_events(commands, ports=ports, tools=tools, now=now)
            refused.update({places[index]: problem for index, problem in done.refusals.items()})
            after_commit(tx, partial(_count_ended, done.reached))
            after_commit(tx, partial(_count_retries, done.retries))
        if locked is not None:
            await apply_topups(tx, locked, refused=refused, ports=ports, tools=tools, now=now)
        return _refusals(tx, refused)

    return [
        ConsumerSpec(
            name="rewards.settlements",
            topic=SETTLEMENTS,
            handler=settlements,
            version_rule=lambda _: VersionRule.STRICT,
            types=_SETTLEMENT_TYPES | ENTRY_TYPES,
        ),
        ConsumerSpec(
            name="rewards.payouts",
            topic=PAYOUTS,
            handler=payouts,
            version_rule=_payout_rule,
            types=_METHOD_TYPES | _PAYOUT_TYPES | TOPUP_TYPES,
        ),
    ]


Command = TypeVar("Command")


def _read_commands(
    incoming: Sequence[Incoming],
    types: frozenset[str],
    read: Callable[[Incoming], Command | None],
    refused: MutableMapping[int, Refused],
) -> tuple[list[Command], list[int]]:
    """Read the commands of events of these types, with their indexes in the batch. ``refused`` gets the refusals by index."""
    commands: list[Command] = []
    places: list[int] = []
    for index, item in enumerate(incoming):
        if item.event.type not in types:
            continue
        try:
            command = read(item)
        except Refused as problem:
            refused[index] = problem
            continue
        if command is not None:
            commands.append(command)
            places.append(index)
    return commands, places


def _payout_rule(event_type: str) -> VersionRule:
    return VersionRule.HIGHEST if event_type in _METHOD_TYPES else VersionRule.STRICT


def _count_held(held: Mapping[str, int]) -> None:
    for cap, count in held.items():
        metrics.LINES_HELD.labels(cap).inc(count)
        metrics.ABUSE_HOLDS.labels(HOLD_CLASSES[cap]).inc(count)


def _count_refused(refused: Mapping[str, int]) -> None:
    for code, count in refused.items():
        metrics.ROUNDS_REFUSED.labels(code).inc(count)


def _count_ended(reached: Mapping[PayoutState, int]) -> None:
    for state, count in reached.items():
        metrics.PAYOUTS_ENDED.labels(state).inc(count)


def _count_retries(outcomes: Sequence[str]) -> None:
    for outcome in outcomes:
        metrics.PAYOUT_RETRIES.labels(outcome).inc()


def _refusals(tx: AsyncConnection, refused: Mapping[int, Refused]) -> dict[int, Refusal]:
    for problem in refused.values():
        after_commit(tx, metrics.MISMATCHES.labels(problem.code).inc)
    return {
        index: Refusal(RefusalCode(problem.code), problem.detail, park=problem.park)
        for index, problem in refused.items()
    }
