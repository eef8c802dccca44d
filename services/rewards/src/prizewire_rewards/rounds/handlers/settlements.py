"""Settled, finalized, corrected and voided rounds, a batch at a time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.errors import IllegalTransition, NeverBookable, Refused
from prizewire_rewards.prizes.domain.model import Round
from prizewire_rewards.prizes.handlers import CapBook
from prizewire_rewards.rounds.domain.commands import FinalizeRound, RoundCommand, SettleRound, VoidRound
from prizewire_rewards.rounds.handlers.round_changes import Booked, RoundChanges
from prizewire_rewards.rounds.handlers.settling import RefusalBook, finalize, round_of, settle_command
from prizewire_rewards.rounds.handlers.single_commands import SETTLED_STATES, SingleCommand
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools

_Batch = Sequence[tuple[int, RoundCommand]]


@dataclass(slots=True)
class SettlementResult:
    """The result of a batch: refusals by index, counts of booked changes, and counts of held lines by cap. ``unbooked`` are
    the indexes of commands about permanently refused settlement versions or disowned rounds; ``refused`` counts the refused
    versions by code, and ``disowned`` the commands about disowned rounds that have no effect.
    """

    refusals: dict[int, Refused] = field(default_factory=dict)
    booked: Booked = field(default_factory=Booked)
    held: Counter[str] = field(default_factory=Counter)
    unbooked: set[int] = field(default_factory=set)
    disowned: int = 0
    refused: Counter[str] = field(default_factory=Counter)


async def apply_settlements(
    commands: Sequence[RoundCommand], *, ports: RoundPorts, tools: RoundTools, now: datetime
) -> SettlementResult:
    """Book settled rounds, make finalized ones payable, correct and void others. Each command is applied completely or
    refused.

    For rounds of one part that are settled or finalized, the number of statements does not grow with the batch.
    Corrections, voids and rounds of several parts are applied one by one, in the order of the batch.
    """
    campaigns, rounds, disowned = await _lock(commands, ports=ports)
    runs = _runs(commands, rounds)
    done = SettlementResult()
    if len(runs) == 1 and runs[0][0]:
        await _book(runs[0][1], campaigns, rounds, disowned, done=done, ports=ports, tools=tools, now=now)
        return done
    for plain, batch in runs:
        campaigns, rounds, disowned = await _lock([command for _, command in batch], ports=ports)
        if plain:
            await _book(batch, campaigns, rounds, disowned, done=done, ports=ports, tools=tools, now=now)
            continue
        [(index, command)] = batch
        if await _has_no_effect(command, disowned, ports=ports, now=now):
            done.unbooked.add(index)
            done.disowned += 1
            continue
        refusals = await RefusalBook.open([command], rounds=rounds, ports=ports)
        if refusals.refuses(command):
            done.unbooked.add(index)
            continue
        try:
            single = SingleCommand(campaigns, rounds, refusals, ports=ports, tools=tools, now=now)
            done.booked += await single.apply(command)
            done.held += single.held
            if isinstance(command, VoidRound) and command.round_id in disowned:
                await ports.disownments.record_void(command.round_id, now=now)
        except NeverBookable as never:
            assert isinstance(command, SettleRound), "only settlements are booked"
            head = command.settlement
            await ports.rounds.unstage((head.round_id, head.settlement_version))
            refusals.refuse(command, never)
            done.unbooked.add(index)
            done.refused.update(refusals.codes)
            await refusals.save(ports=ports, now=now)
        except Refused as refused:
            done.refusals[index] = refused
        except IllegalTransition as illegal:
            done.refusals[index] = Refused(illegal.code, illegal.detail)
    return done


async def _lock(
    commands: Sequence[RoundCommand], *, ports: RoundPorts
) -> tuple[dict[UUID, Campaign], dict[UUID, Round], frozenset[UUID]]:
    """Lock the campaigns and rounds of a batch, in the order of locks. The last result are the disowned rounds."""
    wanted = {command.settlement.campaign for command in commands if isinstance(command, SettleRound)}
    voided = {command.round_id for command in commands if isinstance(command, VoidRound)}
    if voided:
        wanted |= set((await ports.rounds.campaigns_of(voided)).values())
    campaigns = await ports.campaigns.lock(wanted)
    rounds, disowned = await ports.rounds.lock_settled({round_of(command) for command in commands})
    return campaigns, rounds, disowned


def _runs(
    commands: Sequence[RoundCommand], rounds: Mapping[UUID, Round]
) -> list[tuple[bool, list[tuple[int, RoundCommand]]]]:
    """Divide the batch into runs that are booked together (True), and single commands between them (False)."""
    runs: list[tuple[bool, list[tuple[int, RoundCommand]]]] = []
    changed_alone: set[UUID] = set()
    for index, command in enumerate(commands):
        if type(command) is SettleRound:
            plain = command.settlement.parts == 1
        elif type(command) is FinalizeRound:
            known = rounds.get(command.round_id)
            plain = command.round_id not in changed_alone and (
                known is None or (known.state in SETTLED_STATES and not known.large)
            )
        else:
            plain = False
        if not plain:
            changed_alone.add(round_of(command))
        if plain and runs and runs[-1][0]:
            runs[-1][1].append((index, command))
        else:
            runs.append((plain, [(index, command)]))
    return runs


async def _book(
    batch: _Batch,
    campaigns: Mapping[UUID, Campaign],
    rounds: Mapping[UUID, Round],
    disowned: frozenset[UUID],
    *,
    done: SettlementResult,
    ports: RoundPorts,
    tools: RoundTools,
    now: datetime,
) -> None:
    """Settle or finalize rounds of one part, with one set of statements."""
    finalized = {command.round_id for _, command in batch if isinstance(command, FinalizeRound)}
    finalized &= rounds.keys()
    rewards = await ports.rounds.rewards(finalized) if finalized else {}
    others = {rounds[key].settlement.campaign for key in finalized} - campaigns.keys()
    deliveries = {**campaigns, **(await ports.campaigns.load(others) if others else {})}
    refusals = await RefusalBook.open((command for _, command in batch), rounds=rounds, ports=ports)
    earlier = {key: count for key in refusals.rounds if (count := refusals.count(key))}
    changes = RoundChanges(
        campaigns=campaigns,
        deliveries=deliveries,
        rounds=rounds,
        rewards=rewards,
        earlier_events=earlier,
        ports=ports,
        now=now,
    )
    caps = await CapBook.open(
        ((command.settlement, command.lines) for _, command in batch if isinstance(command, SettleRound)),
        campaigns=campaigns,
        ports=ports,
        now=now,
    )
    for index, command in batch:
        if await _has_no_effect(command, disowned, ports=ports, now=now):
            done.unbooked.add(index)
            done.disowned += 1
            continue
        if refusals.refuses(command):
            done.unbooked.add(index)
            continue
        try:
            if isinstance(command, SettleRound):
                settle_command(command, changes=changes, caps=caps, tools=tools, refusals=refusals)
            elif isinstance(command, FinalizeRound):
                finalize(changes, command.round_id, version=command.settlement_version, cause=command.cause)
        except NeverBookable as never:
            assert isinstance(command, SettleRound), "only settlements are booked"
            refusals.refuse(command, never)
            done.unbooked.add(index)
        except Refused as refused:
            done.refusals[index] = refused
        except IllegalTransition as illegal:
            done.refusals[index] = Refused(illegal.code, illegal.detail)
    await caps.save(ports=ports)
    done.held += caps.codes
    done.refused.update(refusals.codes)
    await refusals.save(ports=ports, now=now)
    done.booked += await changes.save(tools=tools)


async def _has_no_effect(
    command: RoundCommand, disowned: frozenset[UUID], *, ports: RoundPorts, now: datetime
) -> bool:
    """Whether a command is about a disowned round and therefore has no effect; that is recorded. A void moves nothing more,
    but its time is stored with the disownment.
    """
    if isinstance(command, VoidRound) or round_of(command) not in disowned:
        return False
    await ports.disownments.record_without_effect(command, now=now)
    return True
