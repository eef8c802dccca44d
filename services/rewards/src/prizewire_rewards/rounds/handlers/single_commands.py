"""Commands that are applied one by one: corrections, voids, and rounds of several parts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.errors import Refused
from prizewire_rewards.ledger.domain.records import step
from prizewire_rewards.prizes.domain.booking import check_lines, check_settlement, check_sums
from prizewire_rewards.prizes.domain.model import Phase, Round, RoundWork, Settlement
from prizewire_rewards.prizes.domain.states import ROUND_EDGES, RoundState
from prizewire_rewards.prizes.handlers import CapBook
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
from prizewire_rewards.rounds.handlers.settling import (
    RefusalBook,
    _check_first,
    _check_part,
    finalize,
    round_of,
    settle_command,
)
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools

LINES_READ_AT_ONCE = 1_000


SETTLED_STATES = frozenset({RoundState.RESERVED, RoundState.FINAL, RoundState.VOIDED})


class SingleCommand:
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
        round_id = round_of(command)
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
            earlier_events=earlier,
            ports=self._ports,
            now=self._now,
        )

    async def _pending(self, round_: Round) -> Sequence[RoundWork]:
        """The pending work on a round; a settled round of one part has none."""
        if round_.state in SETTLED_STATES and not round_.large:
            return ()
        key = round_.settlement.round_id
        return (await self._ports.rounds.pending_work([key])).get(key, ())

    async def _save(self, changes: RoundChanges) -> Booked:
        return await changes.save(tools=self._tools)

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
        _check_first(command, changes=changes, refusals=self._refusals)
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
        _check_part(command)
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
        changes.work_on(task)
        if settlement.final and not final:
            changes.work_on(replace(task, phase=Phase.MATURE, fees=True, head=None))
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
