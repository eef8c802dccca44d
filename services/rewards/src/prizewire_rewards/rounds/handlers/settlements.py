"""Settled, finalized, corrected and voided rounds of a batch. Corrections, voids and rounds of several parts are applied one
by one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.errors import IllegalTransition, NeverBookable, Refused
from prizewire_rewards.ledger.domain.records import step
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.prizes.domain.booking import check_lines, check_settlement, check_sums
from prizewire_rewards.prizes.domain.model import Phase, Round, RoundWork, Settlement
from prizewire_rewards.prizes.domain.states import ROUND_EDGES, RoundState
from prizewire_rewards.rounds.domain.commands import (
    CorrectRound,
    FinalizeRound,
    RoundCommand,
    SettleRound,
    VoidRound,
)
from prizewire_rewards.rounds.handlers.chunked import (
    expected_state,
    finalize_later,
    settle_in_chunks,
    void_later,
)
from prizewire_rewards.rounds.handlers.correcting import check_correction, correct, void
from prizewire_rewards.rounds.handlers.player_funds import load_player_funds
from prizewire_rewards.rounds.handlers.round_changes import Booked, RoundChanges
from prizewire_rewards.rounds.handlers.saving import save_changes
from prizewire_rewards.rounds.handlers.settling import (
    CapBook,
    RefusalBook,
    SettlementResult,
    book_together,
    check_first,
    check_part,
    finalize,
    has_no_effect,
    settle_command,
)
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools

LINES_READ_AT_ONCE = 1_000

SETTLED_STATES = frozenset({RoundState.RESERVED, RoundState.FINAL, RoundState.VOIDED})


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
        await book_together(
            runs[0][1], campaigns, rounds, disowned, done=done, ports=ports, tools=tools, now=now
        )
        return done
    for plain, batch in runs:
        campaigns, rounds, disowned = await _lock([command for _, command in batch], ports=ports)
        if plain:
            await book_together(
                batch, campaigns, rounds, disowned, done=done, ports=ports, tools=tools, now=now
            )
            continue
        [(index, command)] = batch
        if await has_no_effect(command, disowned, ports=ports, now=now):
            done.unbooked.add(index)
            done.disowned += 1
            continue
        refusals = await RefusalBook.open([command], rounds=rounds, ports=ports)
        if refusals.refuses(command):
            done.unbooked.add(index)
            continue
        try:
            single = _SingleCommand(campaigns, rounds, refusals, ports=ports, tools=tools, now=now)
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
    rounds, disowned = await ports.rounds.lock_settled({command.round_id for command in commands})
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
            changed_alone.add(command.round_id)
        if plain and runs and runs[-1][0]:
            runs[-1][1].append((index, command))
        else:
            runs.append((plain, [(index, command)]))
    return runs


class _SingleCommand:
    """Applies one command over a locked campaign and round."""

    def __init__(
        self,
        campaigns: Mapping[UUID, Campaign],
        rounds: Mapping[UUID, Round],
        refusals: RefusalBook,
        *,
        ports: RoundPorts,
        tools: RoundTools,
        now: datetime,
    ) -> None:
        self._campaigns = campaigns
        self._rounds = rounds
        self._refusals = refusals
        self._ports = ports
        self._tools = tools
        self._now = now
        self.held: Counter[str] = Counter()

    async def apply(self, command: RoundCommand) -> Booked:
        """Apply a command.

        Raises:
            Refused, IllegalTransition: it cannot be applied; nothing was changed.
            NeverBookable: it can never be applied.
        """
        round_id = command.round_id
        round_ = self._rounds.get(round_id)
        if isinstance(command, VoidRound):
            return await self._void(command, round_)
        if isinstance(command, FinalizeRound):
            return await self._finalize(command, round_)
        if isinstance(command, CorrectRound) and (round_ is not None or not self._refusals.count(round_id)):
            return await self._correct(command, round_)
        if command.settlement.parts > 1:
            return await self._settle_part(command)
        return await self._settle_after_refusals(command)

    async def _changes(self, round_: Round | None, *, rewards: bool) -> RoundChanges:
        campaigns = self._campaigns
        loaded = {}
        if round_ is not None and rewards:
            loaded = await self._ports.rounds.rewards([round_.settlement.round_id])
        deliveries = dict(campaigns)
        if round_ is not None and round_.settlement.campaign not in deliveries:
            deliveries |= await self._ports.campaigns.load([round_.settlement.campaign])
        earlier = {key: self._refusals.count(key) for key in self._refusals.rounds}
        return RoundChanges(
            campaigns=campaigns,
            deliveries=deliveries,
            rounds=self._rounds,
            rewards=loaded,
            uow=UnitOfWork(self._ports, now=self._now),
            earlier_events=earlier,
        )

    async def _pending(self, round_: Round) -> Sequence[RoundWork]:
        """The pending work on a round; a settled round of one part has none."""
        if round_.state in SETTLED_STATES and not round_.large:
            return ()
        key = round_.settlement.round_id
        return (await self._ports.rounds.pending_work([key])).get(key, ())

    async def _save(self, changes: RoundChanges) -> Booked:
        return await save_changes(changes, ports=self._ports, tools=self._tools)

    async def _void(self, command: VoidRound, round_: Round | None) -> Booked:
        """Void a round. A round that was never booked took no money: only its staged parts are deleted."""
        if round_ is None:
            version = self._refusals.next_version(command.round_id)
            await self._ports.rounds.unstage((command.round_id, version))
            return Booked()
        if round_.state is RoundState.VOIDED:
            return Booked()
        pending = await self._pending(round_)
        if round_.large or pending:
            changes = await self._changes(round_, rewards=False)
            void_later(changes, round_, pending, cause=command.cause)
        else:
            changes = await self._changes(round_, rewards=True)
            void(changes, command.round_id, cause=command.cause)
        return await self._save(changes)

    async def _finalize(self, command: FinalizeRound, round_: Round | None) -> Booked:
        if round_ is None:
            raise Refused("illegal_transition", f"round {command.round_id} has not been settled")
        version, cause = command.settlement_version, command.cause
        pending = await self._pending(round_)
        if round_.large or pending:
            changes = await self._changes(round_, rewards=False)
            finalize_later(changes, round_, pending, version=version, cause=cause)
        else:
            changes = await self._changes(round_, rewards=True)
            finalize(changes, command.round_id, version=version, cause=cause)
        return await self._save(changes)

    async def _settle_part(self, command: SettleRound) -> Booked:
        """Stage one of several parts. With the last part the round's money moves."""
        settlement = command.settlement
        changes = await self._changes(None, rewards=False)
        check_first(command, changes=changes, refusals=self._refusals)
        if not await self._stage(command):
            return Booked()
        await self._hold_over_caps(settlement)
        settle_in_chunks(changes, settlement, cause=command.cause)
        return await self._save(changes)

    async def _settle_after_refusals(self, command: SettleRound) -> Booked:
        """Settle a round by a correction, where all earlier versions were refused."""
        changes = await self._changes(None, rewards=False)
        caps = await CapBook.open(
            [(command.settlement, command.lines)], campaigns=self._campaigns, ports=self._ports, now=self._now
        )
        settle_command(command, changes=changes, caps=caps, tools=self._tools, refusals=self._refusals)
        await caps.save(ports=self._ports)
        self.held += caps.codes
        return await self._save(changes)

    async def _hold_over_caps(self, settlement: Settlement) -> None:
        """Note which lines of a staged settlement exceed its campaign's caps, reading a bounded number at a time."""
        campaign = self._campaigns[settlement.campaign]
        if not campaign.capped:
            return
        rounds, key = self._ports.rounds, (settlement.round_id, settlement.settlement_version)
        after = 0
        while lines := await rounds.staged_lines(key, after=after, limit=LINES_READ_AT_ONCE):
            caps = await CapBook.open(
                [(settlement, lines)], campaigns=self._campaigns, ports=self._ports, now=self._now
            )
            held = caps.held(settlement, lines)
            await caps.save(ports=self._ports)
            self.held += caps.codes
            if held:
                await rounds.hold(key, held=held)
            after = lines[-1].line

    async def _correct(self, command: CorrectRound, round_: Round | None) -> Booked:
        settlement = command.settlement
        pending = () if round_ is None else await self._pending(round_)
        version, final = 0, False
        if round_ is not None:
            expected = expected_state(round_, pending)
            version, final = expected.version, expected.final
            if expected.voided:
                raise Refused("illegal_transition", f"round {settlement.round_id} was voided")
        round_ = check_correction(round_, settlement, version=version, final=final)
        check_part(command)
        if round_.large or pending or settlement.parts > 1:
            if not await self._stage(command):
                return Booked()
            changes = await self._changes(round_, rewards=False)
            self._correct_later(command, round_, changes=changes, final=final)
            await self._remember(command)
            return await self._save(changes)
        check_settlement(
            settlement, command.lines, digest=self._tools.digest(command.lines, asset=settlement.asset)
        )
        changes = await self._changes(round_, rewards=True)
        rewards = changes.rewards[settlement.round_id]
        by_player = {line.player: line for line in command.lines}
        funds = await load_player_funds(round_.settlement, rewards, by_player, ports=self._ports)
        correct(changes, settlement, command.lines, cause=command.cause, funds=funds)
        if settlement.final and not final:
            finalize(changes, settlement.round_id, version=settlement.settlement_version, cause=command.cause)
        await self._remember(command)
        return await self._save(changes)

    async def _remember(self, command: CorrectRound) -> None:
        await self._ports.rounds.record_correction(
            command.settlement, reason=command.reason, cause=command.cause, now=self._now
        )

    def _correct_later(
        self, command: CorrectRound, round_: Round, *, changes: RoundChanges, final: bool
    ) -> None:
        settlement = command.settlement
        task = RoundWork(
            round_id=settlement.round_id,
            version=settlement.settlement_version,
            phase=Phase.TAKE,
            cause=command.cause,
            head=settlement,
        )
        changes.work.append(task)
        if settlement.final and not final:
            changes.work.append(replace(task, phase=Phase.MATURE, fees=True, head=None))
        if round_.state in SETTLED_STATES:
            state = step(edges=ROUND_EDGES, was=round_.state, to=RoundState.BOOKING)
            changes.advance(replace(round_, state=state), cause=command.cause)

    async def _stage(self, command: SettleRound) -> bool:
        """Stage a part until all parts have arrived. Returns whether they have, and match the settlement's figures."""
        head, rounds = command.settlement, self._ports.rounds
        key = (head.round_id, head.settlement_version)
        known = (await rounds.staged([key])).get(key)
        if known is not None and (known.head != head or command.part in known.parts):
            raise Refused(
                "event_mismatch", f"part {command.part} differs from the others in more than its lines"
            )
        await rounds.stage([(head, command.part, command.lines)], now=self._now)
        if (0 if known is None else len(known.parts)) + 1 < head.parts:
            return False
        try:
            await self._check_staged(head)
        except Refused:
            await rounds.unstage(key, part=command.part)
            raise
        return True

    async def _check_staged(self, head: Settlement) -> None:
        """Check the staged lines against the settlement's figures, reading a bounded number at a time."""
        rounds, key = self._ports.rounds, (head.round_id, head.settlement_version)
        digest = self._tools.digest.begin(asset=head.asset)
        count = total = 0
        while True:
            lines = await rounds.staged_lines(key, after=count, limit=LINES_READ_AT_ONCE)
            if not lines:
                break
            check_lines(lines, first=count + 1)
            digest.add(lines)
            count += len(lines)
            total += sum(line.amount for line in lines)
        check_sums(head, lines=count, total=total, digest=digest.hexdigest())
        if await rounds.staged_players(key) != count:
            raise Refused("event_mismatch", "a player is on two lines")
