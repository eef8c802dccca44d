"""Rounds are settled, finalized, or refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts import ids
from prizewire_rewards.campaigns.domain.model import ACCEPTS_PRIZES, CampaignState
from prizewire_rewards.errors import NeverBookable, Refused
from prizewire_rewards.ledger.domain.records import step
from prizewire_rewards.prizes.domain.booking import (
    check_settlement,
    fee_moves,
    finality_moves,
    reserved_moves,
)
from prizewire_rewards.prizes.domain.model import (
    Line,
    RefusedRound,
    Reward,
    RewardEventKind,
    Round,
    Settlement,
)
from prizewire_rewards.prizes.domain.states import REWARD_EDGES, ROUND_EDGES, RewardState, RoundState
from prizewire_rewards.prizes.handlers import CapBook
from prizewire_rewards.rounds.domain.commands import (
    FinalizeRound,
    RoundCommand,
    RoundRefused,
    SettleRound,
    VoidRound,
)
from prizewire_rewards.rounds.handlers.round_changes import RoundChanges
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools

NOTHING_HELD: Mapping[int, str] = {}


def check_open(changes: RoundChanges, settlement: Settlement) -> None:
    """Check that a settlement can be booked.

    Raises:
        Refused: the round was settled before.
        NeverBookable: the campaign is unknown, has another asset, or has ended. Rewards assigns the ids of campaigns, a
            campaign never changes its asset, and an ended one stays ended: so a retry cannot succeed.
    """
    if settlement.round_id in changes.rounds:
        raise Refused("illegal_transition", f"round {settlement.round_id} has been settled before")
    campaign = changes.campaigns.get(settlement.campaign)
    if campaign is None:
        raise NeverBookable("campaign_unknown", f"there is no campaign {settlement.campaign}")
    if campaign.asset != settlement.asset:
        raise NeverBookable(
            "asset_mismatch",
            f"campaign {campaign.id} is in {campaign.asset}, the settlement in {settlement.asset}",
        )
    if campaign.state is CampaignState.ENDED:
        raise NeverBookable("campaign_ended", f"campaign {campaign.id} has ended")


def settle(
    changes: RoundChanges,
    settlement: Settlement,
    lines: Sequence[Line],
    *,
    cause: str,
    held: Mapping[int, str] = NOTHING_HELD,
) -> None:
    """Book a new round, or queue it when its pool cannot cover it or other rounds wait. Lines in ``held`` (code of the rule
    by line number) keep their money in the reserve.
    """
    round_id = settlement.round_id
    changes.new.add(round_id)
    if reserve_or_queue(changes, settlement, cause=cause):
        changes.rewards[round_id] = _new_rewards(settlement, lines)
        changes.booked_lines += len(lines)
        delivery = changes.delivery(settlement)
        if held:
            _hold(changes, round_id, held)
        changes.post(settlement, reserved_moves(settlement, lines, delivery=delivery, held=held))
    else:
        changes.rewards[round_id] = _new_rewards(settlement, lines)
        if held:
            _note(changes, round_id, held)
    changes.emit(round_id, RewardEventKind.ALLOCATED, cause=cause, every=True)
    if held:
        _emit_held(changes, round_id, cause=cause)


def reserve_or_queue(
    changes: RoundChanges, settlement: Settlement, *, cause: str, into: RoundState | None = None
) -> bool:
    """Grant a new round its gross prize if the pool covers it, or queue the round. Returns whether it is covered; the
    caller then adds the moves. ``into`` is the state of a round whose lines are booked later.
    """
    campaign = changes.campaigns[settlement.campaign]
    changes.new.add(settlement.round_id)
    changes.moved_campaigns.add(campaign.id)
    covered = (
        campaign.state in ACCEPTS_PRIZES and not campaign.queued and campaign.available >= settlement.gross
    )
    if covered:
        state = into or (RoundState.FINAL if settlement.final else RoundState.RESERVED)
        changes.begin(Round(settlement=settlement, state=state), cause=cause)
        changes.grant(campaign.id, settlement.gross - settlement.unclaimed)
        changes.booked_rounds += 1
    else:
        round_ = changes.queue(Round(settlement=settlement, state=RoundState.UNFUNDED), cause=cause)
        changes.begin(round_, cause=cause)
    return covered


def release_whole(changes: RoundChanges, round_id: UUID, *, cause: str) -> None:
    """Book a waiting round that its pool now covers."""
    round_ = changes.rounds[round_id]
    settlement = round_.settlement
    state = step(
        edges=ROUND_EDGES,
        was=round_.state,
        to=RoundState.FINAL if settlement.final else RoundState.RESERVED,
    )
    changes.advance(changes.dequeue(round_, state=state), cause=cause)
    changes.grant(settlement.campaign, settlement.gross - settlement.unclaimed)
    changes.booked_rounds += 1
    rewards = changes.rewards[round_id]
    held = {reward.line.line: reward.note for reward in rewards if reward.note is not None}
    lines = [reward.line for reward in rewards if reward.line.line > 0]
    changes.booked_lines += len(lines)
    if held:
        _hold(changes, round_id, {line: str(code) for line, code in held.items()})
    delivery = changes.delivery(settlement)
    changes.post(settlement, reserved_moves(settlement, lines, delivery=delivery, held=held))
    changes.emit(round_id, RewardEventKind.RELEASED, cause=cause, every=True)
    if held:
        _emit_held(changes, round_id, cause=cause)


def finalize(changes: RoundChanges, round_id: UUID, *, version: int, cause: str) -> None:
    """Make a round's prizes payable. A round that waits for money is only marked as final.

    Raises:
        Refused: the round was not settled, or its settlement has another version.
    """
    round_ = changes.rounds.get(round_id)
    if round_ is None:
        raise Refused("illegal_transition", f"round {round_id} has not been settled")
    if (known := round_.settlement.settlement_version) != version:
        raise Refused(
            "event_mismatch", f"version {version} cannot become final: the settlement has version {known}"
        )
    if round_.settlement.final:
        return
    settlement = replace(round_.settlement, final=True)
    if round_.state is RoundState.UNFUNDED:
        changes.keep(replace(round_, settlement=settlement))
        return
    state = step(edges=ROUND_EDGES, was=round_.state, to=RoundState.FINAL)
    changes.advance(replace(round_, settlement=settlement, state=state), cause=cause)
    rewards = changes.rewards[round_id]
    moves = finality_moves(settlement, rewards, delivery=changes.delivery(settlement))
    whole = len(moves) == len(rewards)
    matured = None if whole else frozenset(r.id for r in rewards if r.state is RewardState.PENDING)
    changes.post(settlement, [*moves, *fee_moves(settlement)])
    changes.emit(round_id, RewardEventKind.RELEASED, cause=cause, only=matured, every=whole)


def _hold(changes: RoundChanges, round_id: UUID, held: Mapping[int, str]) -> None:
    """Hold lines of a booked round."""
    rewards = changes.rewards[round_id]
    for place, reward in enumerate(rewards):
        code = held.get(reward.line.line)
        if code is not None:
            state = step(edges=REWARD_EDGES, was=reward.state, to=RewardState.HELD)
            rewards[place] = reward._replace(state=state, note=code)


def _note(changes: RoundChanges, round_id: UUID, held: Mapping[int, str]) -> None:
    """Note which lines of a waiting round will be held when it is booked."""
    rewards = changes.rewards[round_id]
    for place, reward in enumerate(rewards):
        rewards[place] = reward._replace(note=held.get(reward.line.line))


def _emit_held(changes: RoundChanges, round_id: UUID, *, cause: str) -> None:
    kept = [reward.id for reward in changes.rewards[round_id] if reward.state is RewardState.HELD]
    if kept:
        changes.emit(round_id, RewardEventKind.HELD, cause=cause, only=kept)


def _new_rewards(settlement: Settlement, lines: Iterable[Line]) -> list[Reward]:
    round_id = settlement.round_id
    lines = list(lines)
    found = ids.reward_ids(round_id=round_id, players=[line.player for line in lines])
    return [
        Reward(reward_id, round_id, line, RewardState.UNFUNDED, None)
        for reward_id, line in zip(found, lines, strict=True)
    ]


FIRST_VERSION = 1


class RefusalBook:
    """The refused versions of rounds that were never booked, and those of this transaction."""

    def __init__(self, known: Mapping[UUID, Sequence[int]]) -> None:
        self._known = {key: list(versions) for key, versions in known.items()}
        self._fresh: list[RefusedRound] = []

    @classmethod
    async def open(
        cls,
        commands: Iterable[SettleRound | FinalizeRound | VoidRound],
        *,
        rounds: Mapping[UUID, Round],
        ports: RoundPorts,
    ) -> "RefusalBook":
        """Load the earlier refusals of the rounds of ``commands`` that are not among the booked ``rounds``.

        Rounds whose first version has one part cannot have an earlier refusal and are not read.
        """
        settled: set[UUID] = set()
        wanted: set[UUID] = set()
        for command in commands:
            if not isinstance(command, SettleRound):
                wanted.add(command.round_id)
                continue
            head = command.settlement
            if head.settlement_version == FIRST_VERSION and head.parts == 1:
                settled.add(head.round_id)
            else:
                wanted.add(head.round_id)
        unknown = wanted - settled - rounds.keys()
        return cls(await ports.rounds.refused(unknown) if unknown else {})

    @property
    def rounds(self) -> Iterable[UUID]:
        """The rounds that have a refused version."""
        return self._known.keys()

    def count(self, round_id: UUID) -> int:
        """The number of refused versions of a round; each had one event."""
        return len(self._known.get(round_id, ()))

    def next_version(self, round_id: UUID) -> int:
        """The settlement version that can be booked first."""
        return max(self._known.get(round_id, (0,))) + 1

    def refuses(self, command: RoundCommand) -> bool:
        """Whether a command is about a permanently refused settlement version: it has no effect."""
        if isinstance(command, VoidRound):
            return False
        about = command.settlement if isinstance(command, SettleRound) else command
        return about.settlement_version in self._known.get(about.round_id, ())

    def refuse(self, command: SettleRound, problem: NeverBookable) -> None:
        """Refuse the version of ``command`` permanently."""
        head = command.settlement
        self._known.setdefault(head.round_id, []).append(head.settlement_version)
        refused = RefusedRound(
            settlement=head,
            part=command.part,
            code=problem.code,
            detail=problem.detail,
            version=self.count(head.round_id),
            cause=command.cause,
        )
        self._fresh.append(refused)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of this transaction's refusals."""
        return tuple(refused.code for refused in self._fresh)

    async def save(self, *, ports: RoundPorts, now: datetime) -> None:
        """Store the refusals of this transaction and publish their events."""
        if self._fresh:
            await ports.rounds.refuse(self._fresh, now=now)
            await ports.messages.publish([RoundRefused(refused=refused) for refused in self._fresh])


def round_of(command: RoundCommand) -> UUID:
    """The round that a command is about."""
    return command.settlement.round_id if isinstance(command, SettleRound) else command.round_id


def settle_command(
    command: SettleRound, *, changes: RoundChanges, caps: CapBook, tools: RoundTools, refusals: RefusalBook
) -> None:
    """Settle a round of one part, and hold the lines that exceed caps.

    Raises:
        Refused, NeverBookable: it cannot be booked; nothing was changed.
    """
    settlement = command.settlement
    _check_first(command, changes=changes, refusals=refusals)
    check_settlement(settlement, command.lines, digest=tools.digest(command.lines, asset=settlement.asset))
    held = caps.held(settlement, command.lines)
    settle(changes, settlement, command.lines, cause=command.cause, held=held)


def _check_first(command: SettleRound, *, changes: RoundChanges, refusals: RefusalBook) -> None:
    head = command.settlement
    first = refusals.next_version(head.round_id)
    if head.settlement_version != first:
        detail = f"round {head.round_id} is not booked yet, so version {first} comes first, not {head.settlement_version}"
        raise Refused("event_mismatch", detail)
    check_open(changes, command.settlement)
    _check_part(command)


def _check_part(command: SettleRound) -> None:
    if not 1 <= command.part <= command.settlement.parts:
        parts = command.settlement.parts
        raise Refused("event_mismatch", f"part {command.part} is not between 1 and {parts}")
