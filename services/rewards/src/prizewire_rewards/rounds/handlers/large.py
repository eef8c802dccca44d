"""Work on large rounds: each transaction does one chunk of lines and stores the progress.

Every chunk is idempotent: the ids of its transfers follow from round, version and line, and the progress commits with the
changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from prizewire_rewards.ledger.domain.accounts import Move, TransferType
from prizewire_rewards.ledger.domain.records import step
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.prizes.domain.booking import fee_moves, finality_moves, pool_of, reserve_of
from prizewire_rewards.prizes.domain.model import Line, Phase, Reward, RewardEventKind, Round, RoundWork
from prizewire_rewards.prizes.domain.states import ROUND_EDGES, RewardState, RoundState
from prizewire_rewards.rounds.domain.corrections import take_all_back, take_back
from prizewire_rewards.rounds.handlers.correcting import (
    available_for_correction,
    cancel_receivables,
    continued,
    differs,
    give_back,
    leave_queue,
    new_reward,
    pay_lines,
    settle_shortage,
    take_from_players,
)
from prizewire_rewards.rounds.handlers.disowning import owe_disownment_shortfalls
from prizewire_rewards.rounds.handlers.player_funds import PlayerFunds, load_player_funds
from prizewire_rewards.rounds.handlers.round_changes import Booked, RoundChanges
from prizewire_rewards.rounds.handlers.saving import save_changes
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools

CHUNK_LINES: Final = 1_000
"""Lines of one transaction: as many as one part may have."""
ALL_DONE: Final = 2**31 - 1
"""``after_line`` of work whose lines are all done. Its end is a transaction of its own, under the campaign's lock."""
_NEEDS_CAMPAIGN: Final = frozenset({Phase.TAKE, Phase.ENLIST, Phase.VOID})


async def work_on_next(
    *, ports: RoundPorts, tools: RoundTools, now: datetime, limit: int = CHUNK_LINES
) -> Booked | None:
    """Do one chunk of the next work; None when there is no work."""
    due = await ports.rounds.next_work()
    if due is None or due.campaign is None:
        return None
    if due.phase in _NEEDS_CAMPAIGN or due.after_line == ALL_DONE:
        campaigns = await ports.campaigns.lock([due.campaign])
        deliveries = campaigns
    else:
        campaigns, deliveries = {}, await ports.campaigns.load([due.campaign])
    rounds = await ports.rounds.lock([due.round_id])
    pending = (await ports.rounds.pending_work([due.round_id])).get(due.round_id, [])
    if not pending or (pending[0].id, pending[0].phase) != (due.id, due.phase):
        return Booked(work=1)  # another worker did this chunk
    task = pending[0]
    if task.after_line == ALL_DONE and not campaigns:
        return Booked(work=1)
    changes = RoundChanges(
        campaigns=campaigns,
        deliveries=deliveries,
        rounds=rounds,
        rewards={due.round_id: []},
        uow=UnitOfWork(ports, now=now),
    )
    chunk = _Chunk(changes=changes, task=task, later_tasks=pending[1:], ports=ports, now=now, limit=limit)
    await chunk.run()
    return await save_changes(changes, ports=ports, tools=tools) + Booked(work=1)


@dataclass(slots=True)
class _Chunk:
    """One chunk of one task. ``later_tasks`` wait for its end."""

    changes: RoundChanges
    task: RoundWork
    later_tasks: Sequence[RoundWork]
    ports: RoundPorts
    now: datetime
    limit: int

    async def run(self) -> None:
        """Do the next lines of the task, or end it."""
        if self.task.after_line == 0:
            self._begin()
        ended = self.task.after_line == ALL_DONE
        match self.task.phase:
            case Phase.LIST:
                await (self._end_list() if ended else self._list())
            case Phase.PAY:
                await (self._end_pay() if ended else self._pay())
            case Phase.MATURE:
                await (self._end_mature() if ended else self._mature())
            case Phase.TAKE:
                await (self._end_take() if ended else self._take())
            case Phase.ENLIST:
                await (self._end_enlist() if ended else self._enlist())
            case Phase.VOID:
                await (self._end_void() if ended else self._void())

    @property
    def round(self) -> Round:
        """The round with the changes so far."""
        return self.changes.rounds[self.task.round_id]

    @property
    def key(self) -> tuple[Round, int]:
        """The round, and the settlement version whose lines are worked on."""
        return self.round, self.task.version

    def _begin(self) -> None:
        """Move the round to the state for work in chunks, before the first chunk."""
        round_, task = self.round, self.task
        head = round_.settlement
        if task.phase is Phase.TAKE and task.head is not None:
            head = continued(task.head, head)
        elif task.phase is Phase.MATURE:
            head = replace(head, final=True)
        round_ = replace(round_, settlement=head)
        working = task.phase in (Phase.MATURE, Phase.TAKE, Phase.VOID)
        if working and round_.state is not RoundState.BOOKING:
            if round_.state is not RoundState.UNFUNDED:
                state = step(edges=ROUND_EDGES, was=round_.state, to=RoundState.BOOKING)
                self.changes.advance(replace(round_, state=state), cause=task.cause)
                return
            if task.phase is Phase.VOID:
                leave_queue(self.changes, round_, state=RoundState.BOOKING, cause=task.cause)
                return
        self.changes.keep(round_)

    async def _next(self, read: int, last: int, **changes: object) -> None:
        """Store the progress of the task. All lines are done when fewer lines were read than the limit."""
        after = ALL_DONE if read < self.limit else last
        self.task = replace(self.task, after_line=after, **changes)  # type: ignore[arg-type]  # fields by name
        await self.ports.rounds.save_work(self.task)

    async def _over(self, *, state: RoundState | None) -> None:
        """End the task. The round gets ``state`` unless later tasks wait."""
        await self.ports.rounds.end_work(self.task)
        if state is None:
            self.changes.keep(self.round)
        elif not self.later_tasks or state is RoundState.VOIDED:
            self.changes.advance(
                replace(self.round, state=step(edges=ROUND_EDGES, was=self.round.state, to=state)),
                cause=self.task.cause,
            )

    def _settled(self) -> RoundState | None:
        """The state of a round whose lines are all done; None where it is not being booked."""
        round_ = self.round
        if round_.state is not RoundState.BOOKING:
            return None
        return RoundState.FINAL if round_.settlement.final else RoundState.RESERVED

    async def _load(self, *, before_version: int | None = None) -> list[Reward]:
        round_id = self.task.round_id
        rewards = await self.ports.rounds.chunk(
            round_id, after=self.task.after_line, limit=self.limit, before_version=before_version
        )
        self.changes.rewards[round_id] = list(rewards)
        return rewards

    async def _staged(self) -> list[Line]:
        return await self.ports.rounds.staged_lines(
            (self.task.round_id, self.task.version), after=self.task.after_line, limit=self.limit
        )

    async def _notes(self, lines: Sequence[Line]) -> dict[int, str]:
        if not lines:
            return {}
        key = (self.task.round_id, self.task.version)
        return await self.ports.rounds.holds(key, after=lines[0].line - 1, upto=lines[-1].line)

    async def _list(self) -> None:
        lines = await self._staged()
        notes = await self._notes(lines)
        for line in lines:
            self.changes.add_rewards(
                [new_reward(self.round.settlement, line, note=notes.get(line.line), funded=False)]
            )
        if not self.task.announced:
            self.changes.emit(self.task.round_id, RewardEventKind.ALLOCATED, cause=self.task.cause)
        self.changes.keep(self.round)
        await self._next(len(lines), lines[-1].line if lines else 0)

    async def _end_list(self) -> None:
        await self.ports.rounds.unstage((self.task.round_id, self.task.version))
        await self._over(state=None)

    async def _pay(self) -> None:
        task = self.task
        rewards = await self._load()
        concerned = [reward.id for reward in rewards if reward.missing]
        paid = pay_lines(
            self.changes,
            self.round.settlement,
            budget=0 if task.waiting else task.budget,
            before=(),
            step_name="/released" if task.announced else "",
        )
        left = task.budget if task.waiting else paid.left
        if concerned:
            what = RewardEventKind.RELEASED if task.announced else RewardEventKind.ALLOCATED
            self.changes.emit(task.round_id, what, cause=task.cause, only=concerned)
        held = [
            reward.id
            for reward in self.changes.rewards[task.round_id]
            if reward.state is RewardState.HELD and reward.id in set(concerned)
        ]
        if held:
            self.changes.emit(task.round_id, RewardEventKind.HELD, cause=task.cause, only=held)
        self.changes.keep(self.round)
        last = rewards[-1].line.line if rewards else 0
        await self._next(len(rewards), last, budget=left, waiting=task.waiting or paid.short > 0)

    async def _end_pay(self) -> None:
        task, changes = self.task, self.changes
        settlement = self.round.settlement
        fees = fee_moves(settlement) if task.fees and settlement.final else []
        give_back(
            changes,
            settlement,
            before=fees,
            rest=task.budget,
            step_name="/released-rest" if task.announced else "/rest",
        )
        short = await self.ports.rounds.shortage(task.round_id)
        changes.keep(settle_shortage(changes, self.round, short=short, cause=task.cause))
        await self._over(state=self._settled())

    async def _mature(self) -> None:
        rewards = await self._load()
        settlement = self.round.settlement
        if self.round.state is not RoundState.UNFUNDED:
            moves = finality_moves(settlement, rewards, delivery=self.changes.delivery(settlement))
            matured = [reward.id for reward in rewards if reward.state is RewardState.PENDING]
            self.changes.post(settlement, moves)
            if matured:
                self.changes.emit(
                    self.task.round_id, RewardEventKind.RELEASED, cause=self.task.cause, only=matured
                )
        self.changes.keep(self.round)
        await self._next(len(rewards), rewards[-1].line.line if rewards else 0)

    async def _end_mature(self) -> None:
        if self.round.state is not RoundState.UNFUNDED:
            self.changes.post(self.round.settlement, fee_moves(self.round.settlement))
        await self._over(state=self._settled())

    async def _take(self) -> None:
        task, changes = self.task, self.changes
        rewards = await self._load(before_version=task.version)
        players = [reward.line.player for reward in rewards]
        lines = await self.ports.rounds.staged_for((task.round_id, task.version), players=players)
        settlement = self.round.settlement
        funds = await load_player_funds(settlement, rewards, lines, ports=self.ports)
        taken = take_from_players(
            changes,
            settlement,
            rewards,
            lines,
            funds=funds,
            funded=self.round.state is not RoundState.UNFUNDED,
            cause=task.cause,
        )
        self._put(taken.rewards, rewards, funds=funds)
        if taken.reversed:
            changes.emit(task.round_id, RewardEventKind.REVERSED, cause=task.cause, these=taken.reversed)
        changes.keep(self.round)
        last = rewards[-1].line.line if rewards else 0
        await self._next(len(rewards), last, budget=task.budget + taken.came_back)

    def _put(self, after: Sequence[Reward], before: Sequence[Reward], *, funds: PlayerFunds) -> None:
        """Store prizes with their new lines, and emit events about those that miss nothing. Events about the others
        follow when they are paid.
        """
        changes, round_id = self.changes, self.task.round_id
        changes.rewards[round_id] = [cancel_receivables(changes, reward, funds=funds) for reward in after]
        unfunded = self.round.state is RoundState.UNFUNDED
        changed = [
            now.id
            for was, now in zip(before, changes.rewards[round_id], strict=True)
            if now.line.line > 0 and (unfunded or not now.missing) and differs(was, now)
        ]
        if changed:
            changes.emit(round_id, RewardEventKind.ALLOCATED, cause=self.task.cause, only=changed)

    async def _end_take(self) -> None:
        self.task = replace(self.task, phase=Phase.ENLIST, after_line=0)
        self.changes.keep(self.round)
        await self.ports.rounds.save_work(self.task)

    async def _enlist(self) -> None:
        task, changes = self.task, self.changes
        lines = await self._staged()
        known = await self.ports.rounds.rewards_of(task.round_id, players=[line.player for line in lines])
        notes = await self._notes(lines)
        settlement = self.round.settlement
        funded = self.round.state is not RoundState.UNFUNDED
        returning = [reward for reward in known.values() if reward.version < task.version]
        by_player = {line.player: line for line in lines}
        funds = await load_player_funds(settlement, returning, by_player, ports=self.ports)
        taken = take_back(returning, lines=by_player, settlement=settlement, winnings={}, funded=funded)
        self._put(taken.rewards, returning, funds=funds)
        fresh = [
            new_reward(settlement, line, note=notes.get(line.line), funded=funded)
            for line in lines
            if line.player not in known
        ]
        for reward in fresh:
            changes.add_rewards([reward])
        if fresh and not funded:
            changes.emit(
                task.round_id, RewardEventKind.ALLOCATED, cause=task.cause, only=[one.id for one in fresh]
            )
        changes.keep(self.round)
        await self._next(len(lines), lines[-1].line if lines else 0)

    async def _end_enlist(self) -> None:
        task, changes = self.task, self.changes
        settlement = self.round.settlement
        await self.ports.rounds.unstage((task.round_id, task.version))
        changes.counts += Booked(corrected=1)
        if self.round.state is RoundState.UNFUNDED:
            await self._over(state=None)
            return
        needed = await self.ports.rounds.shortage(task.round_id)
        extra = min(needed - task.budget, available_for_correction(changes, self.round))
        budget = task.budget
        if extra > 0:
            budget += extra
            take = Move(TransferType.PRIZE_RESERVED, pool_of(settlement), reserve_of(settlement), extra)
            changes.post(settlement, [take])
            changes.grant(settlement.campaign, extra)
        changes.keep(self.round)
        self.task = replace(
            task, phase=Phase.PAY, after_line=0, budget=budget, waiting=False, fees=False, announced=False
        )
        await self.ports.rounds.save_work(self.task)

    async def _void(self) -> None:
        task, changes = self.task, self.changes
        rewards = await self._load()
        settlement = self.round.settlement
        funds = await load_player_funds(settlement, rewards, {}, ports=self.ports)
        taken = take_all_back(rewards, settlement=settlement, winnings=funds.winnings)
        changes.post(settlement, taken.moves, step_name="/void")
        owe_disownment_shortfalls(changes, settlement, taken.shortfalls, funds=funds, cause=task.cause)
        changes.rewards[task.round_id] = taken.rewards
        if taken.reversed:
            changes.emit(task.round_id, RewardEventKind.REVERSED, cause=task.cause, these=taken.reversed)
        changes.keep(self.round)
        await self._next(len(rewards), rewards[-1].line.line if rewards else 0)

    async def _end_void(self) -> None:
        settlement = self.round.settlement
        rest = await self.ports.ledger.lock_balance(reserve_of(settlement))
        give_back(self.changes, settlement, before=(), rest=rest, step_name="/void")
        if self.round.queue_position is not None:
            round_ = self.changes.dequeue(self.round, state=self.round.state)
            self.changes.keep(round_)
            self.changes.reopen_if_paid(settlement.campaign)
        self.changes.counts += Booked(voided=1)
        await self._over(state=RoundState.VOIDED)
