"""One transaction's worth of rounds: decided one after the other in memory, saved together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from prizewire_contracts import ids
from prizewire_rewards.domain.booking import credits_of, finality_moves, reserved_moves
from prizewire_rewards.domain.errors import Refused
from prizewire_rewards.domain.events import (
    CampaignChanged,
    Event,
    PayoutAsked,
    PoolExhausted,
    RewardsMoved,
    Told,
)
from prizewire_rewards.domain.ledger import Kind, Move, TransferType
from prizewire_rewards.domain.model import (
    Campaign,
    Delivery,
    Line,
    Reward,
    Round,
    Settlement,
    Transition,
)
from prizewire_rewards.domain.pools import watch_level
from prizewire_rewards.domain.states import (
    ACCEPTS_PRIZES,
    CAMPAIGN_EDGES,
    REWARD_EDGES,
    ROUND_EDGES,
    CampaignState,
    RewardState,
    RoundState,
    step,
)
from prizewire_rewards.handlers.claims import open_claims
from prizewire_rewards.handlers.crediting import NO_PAYOUT_METHOD, Credited, DirectPrize, FollowUp, follow_up
from prizewire_rewards.handlers.journal import Journal
from prizewire_rewards.ports import Tools, Work

__all__ = ["SYSTEM", "Booked", "Desk"]

SYSTEM = "rewards"
NOTHING_HELD: Mapping[int, str] = MappingProxyType({})
_PRIZE_STATES = {
    (TransferType.PRIZE_PENDING, Kind.PENDING): RewardState.PENDING,
    (TransferType.PRIZE_CREDITED, Kind.WINNINGS): RewardState.CREDITED,
    (TransferType.PRIZE_MATURED, Kind.WINNINGS): RewardState.CREDITED,
    (TransferType.CLAIM_OPENED, Kind.CLAIMABLE): RewardState.CLAIMABLE,
}
"""Where a prize stands after it has moved."""


@dataclass(frozen=True, slots=True)
class Booked:
    """Counts of what was done, for metrics."""

    rounds: int = 0
    unfunded: int = 0
    lines: int = 0
    payouts: int = 0
    netted: int = 0


@dataclass(frozen=True, slots=True)
class _Told:
    """Prizes to be told of, once payouts and notes are known."""

    round_id: UUID
    released: bool
    cause: str


class Desk:
    """Rounds and campaigns that are loaded (and, but for ``deliveries``, locked) in one transaction."""

    def __init__(
        self,
        *,
        campaigns: Mapping[UUID, Campaign],
        deliveries: Mapping[UUID, Campaign],
        rounds: Mapping[UUID, Round],
        rewards: Mapping[UUID, Sequence[Reward]],
    ) -> None:
        self._campaigns = dict(campaigns)
        self._deliveries = deliveries
        self._rounds = dict(rounds)
        self._rewards: dict[UUID, list[Reward]] = {key: list(found) for key, found in rewards.items()}
        self._new: set[UUID] = set()
        self._changed: set[UUID] = set()
        self._moved_campaigns: set[UUID] = set()
        self._journal = Journal()
        self._credited: list[Credited] = []
        self._transitions: list[Transition] = []
        self._told: list[_Told | Event] = []
        self._claimable: dict[UUID, set[int]] = {}
        self._booked_rounds = 0
        self._booked_lines = 0
        self._queued_rounds = 0

    def campaign(self, campaign_id: UUID) -> Campaign:
        """A locked campaign as decided so far."""
        return self._campaigns[campaign_id]

    def check_open(self, settlement: Settlement) -> None:
        """See that the settlement may be booked at all.

        Raises:
            Refused: unknown campaign, another asset, an ended campaign, or a round that was settled before.
        """
        campaign = self._campaigns.get(settlement.campaign)
        if campaign is None:
            raise Refused("campaign_unknown", f"no campaign {settlement.campaign}")
        if campaign.asset != settlement.asset:
            raise Refused(
                "event_mismatch", f"the campaign's asset is {campaign.asset}, not {settlement.asset}"
            )
        if campaign.state is CampaignState.ENDED:
            raise Refused("illegal_transition", "the campaign has ended")
        if settlement.round_id in self._rounds:
            raise Refused("illegal_transition", "the round has been settled before")

    def settle(
        self,
        settlement: Settlement,
        lines: Sequence[Line],
        *,
        cause: str,
        held: Mapping[int, str] = NOTHING_HELD,
    ) -> None:
        """Book a whole new round, or queue it when its pool cannot cover it or others wait already. ``held`` names the
        rule that keeps a line back, by line number: its money stays reserved.
        """
        campaign = self._campaigns[settlement.campaign]
        covered = (
            campaign.state in ACCEPTS_PRIZES
            and not campaign.queued
            and campaign.available >= settlement.gross
        )
        self._new.add(settlement.round_id)
        self._moved_campaigns.add(campaign.id)
        if covered:
            state = RoundState.FINAL if settlement.final else RoundState.RESERVED
            self._enter(Round(settlement=settlement, state=state), cause=cause)
            self._book(settlement, lines, held=held)
        else:
            self._queue(campaign, settlement, lines, cause=cause, held=held)
        self._told.append(_Told(settlement.round_id, released=False, cause=cause))

    def release(self, round_id: UUID, *, cause: str) -> bool:
        """Book a waiting round if its pool covers it by now."""
        round_ = self._rounds[round_id]
        settlement = round_.settlement
        campaign = self._campaigns[settlement.campaign]
        if campaign.state not in ACCEPTS_PRIZES or campaign.available < settlement.gross:
            return False
        state = step(
            edges=ROUND_EDGES,
            was=round_.state,
            to=RoundState.FINAL if settlement.final else RoundState.RESERVED,
        )
        self._advance(replace(round_, state=state, queue_position=None), was=round_.state, cause=cause)
        self._campaigns[campaign.id] = replace(campaign, queued=campaign.queued - 1)
        self._moved_campaigns.add(campaign.id)
        waiting = self._rewards[round_id]
        held = {reward.line.line: reward.note for reward in waiting if reward.note is not None}
        self._book(settlement, [reward.line for reward in waiting], held=held)
        self._told.append(_Told(round_id, released=True, cause=cause))
        return True

    def finalize(self, round_id: UUID, *, version: int, cause: str) -> None:
        """Make a round's prizes payable. One that waits for money is remembered as final.

        Raises:
            Refused: the round was not settled, or its settlement has another version.
        """
        round_ = self._rounds.get(round_id)
        if round_ is None:
            raise Refused("illegal_transition", "the round has not been settled")
        if round_.settlement.settlement_version != version:
            raise Refused(
                "event_mismatch", f"the settlement has version {round_.settlement.settlement_version}"
            )
        if round_.settlement.final:
            return
        settlement = replace(round_.settlement, final=True)
        if round_.state is RoundState.UNFUNDED:
            self._rounds[round_id] = replace(round_, settlement=settlement)
            self._changed.add(round_id)
            return
        state = step(edges=ROUND_EDGES, was=round_.state, to=RoundState.FINAL)
        self._advance(replace(round_, settlement=settlement, state=state), was=round_.state, cause=cause)
        pending = (reward.line for reward in self._rewards[round_id] if reward.state is RewardState.PENDING)
        moves = finality_moves(settlement, pending, claimed=self._claimed(settlement))
        self._post(settlement, moves)
        self._told.append(_Told(round_id, released=True, cause=cause))

    def reopen_if_paid(self, campaign_id: UUID) -> None:
        """An exhausted campaign whose queue is empty is active again."""
        campaign = self._campaigns[campaign_id]
        if campaign.state is CampaignState.EXHAUSTED and not campaign.queued:
            self._move_campaign(campaign, CampaignState.ACTIVE, cause=f"campaign/{campaign_id}/queue-empty")

    async def save(self, *, work: Work, tools: Tools, now: datetime) -> Booked:
        """Post, follow up the credits, store everything that changed, and publish."""
        if self._journal.transfers:
            await work.ledger.post(self._journal.transfers, now=now)
        followed = await follow_up(self._credited, work=work, tools=tools, now=now)
        self._mark(followed)
        self._watch_levels()
        payouts = list(followed.payouts.values())
        events = self._events(followed)
        self._transitions.extend(
            Transition(
                "payout", payout.id, "", payout.state, f"round/{payout.round_id}", payout.correlation_id
            )
            for payout in payouts
        )
        if self._new:
            added = [self._rounds[key] for key in self._new]
            await work.rounds.add(
                added, [reward for key in self._new for reward in self._rewards[key]], now=now
            )
        changed = self._changed - self._new
        if changed:
            saved = [self._rounds[key] for key in changed]
            moved = [reward for key in changed for reward in self._rewards.get(key, ())]
            await work.rounds.save(saved, moved, now=now)
        for round_id in self._claimable:
            events += await self._open_claims(round_id, work=work, now=now)
        if payouts:
            await work.payouts.add(payouts, now=now)
        if self._moved_campaigns:
            await work.campaigns.save([self._campaigns[key] for key in sorted(self._moved_campaigns)])
        if self._transitions:
            await work.history.add(self._transitions, now=now)
        if events:
            await work.messages.publish(events)
        return Booked(
            rounds=self._booked_rounds,
            unfunded=self._queued_rounds,
            lines=self._booked_lines,
            payouts=len(payouts),
            netted=followed.netted,
        )

    def _enter(self, round_: Round, *, cause: str) -> None:
        self._rounds[round_.settlement.round_id] = round_
        self._transitions.append(
            Transition(
                "round",
                round_.settlement.round_id,
                "",
                round_.state,
                cause,
                round_.settlement.correlation_id,
            )
        )

    def _advance(self, round_: Round, *, was: RoundState, cause: str) -> None:
        settlement = round_.settlement
        self._rounds[settlement.round_id] = round_
        self._changed.add(settlement.round_id)
        self._transitions.append(
            Transition("round", settlement.round_id, was, round_.state, cause, settlement.correlation_id)
        )

    def _queue(
        self,
        campaign: Campaign,
        settlement: Settlement,
        lines: Sequence[Line],
        *,
        cause: str,
        held: Mapping[int, str],
    ) -> None:
        position = campaign.queue_tail + 1
        self._enter(
            Round(settlement=settlement, state=RoundState.UNFUNDED, queue_position=position), cause=cause
        )
        self._rewards[settlement.round_id] = [
            Reward(
                _reward_id(settlement, line),
                settlement.round_id,
                line,
                RewardState.UNFUNDED,
                None,
                held.get(line.line),
            )
            for line in lines
        ]
        self._queued_rounds += 1
        campaign = replace(campaign, queued=campaign.queued + 1, queue_tail=position)
        self._campaigns[campaign.id] = campaign
        if campaign.state is CampaignState.ACTIVE:
            campaign = self._move_campaign(campaign, CampaignState.EXHAUSTED, cause=cause)
            campaign = replace(campaign, version=campaign.version + 1)
            self._campaigns[campaign.id] = campaign
            self._told.append(PoolExhausted(campaign=campaign, cause=cause))

    def _move_campaign(self, campaign: Campaign, to: CampaignState, *, cause: str) -> Campaign:
        state = step(edges=CAMPAIGN_EDGES, was=campaign.state, to=to)
        moved = replace(campaign, state=state, version=campaign.version + 1)
        self._campaigns[campaign.id] = moved
        self._moved_campaigns.add(campaign.id)
        self._transitions.append(
            Transition("campaign", campaign.id, campaign.state, state, cause, str(campaign.id))
        )
        self._told.append(CampaignChanged(campaign=moved, actor=SYSTEM, created=False))
        return moved

    def _book(self, settlement: Settlement, lines: Sequence[Line], *, held: Mapping[int, str]) -> None:
        campaign = self._campaigns[settlement.campaign]
        taken = settlement.gross - settlement.unclaimed
        self._campaigns[campaign.id] = replace(
            campaign, available=campaign.available - taken, granted=campaign.granted + taken
        )
        self._booked_rounds += 1
        self._booked_lines += len(lines)
        known = self._rewards.get(settlement.round_id)
        if known is None:
            self._rewards[settlement.round_id] = [
                Reward(_reward_id(settlement, line), settlement.round_id, line, RewardState.UNFUNDED, None)
                for line in lines
            ]
        paid = [line for line in lines if line.line not in held] if held else lines
        self._post(settlement, reserved_moves(settlement, paid, claimed=self._claimed(settlement)), held=held)

    def _claimed(self, settlement: Settlement) -> bool:
        return self._deliveries[settlement.campaign].delivery is Delivery.CLAIM

    def _post(
        self, settlement: Settlement, moves: list[Move], *, held: Mapping[int, str] = NOTHING_HELD
    ) -> None:
        """Journal the moves, and let each prize follow its own; one that is held follows its round's reserve."""
        correlation_id = settlement.correlation_id
        source = f"round/{settlement.round_id}/{settlement.settlement_version}"
        posted = self._journal.add(moves, cause=source, correlation_id=correlation_id)
        rewards = self._rewards[settlement.round_id]
        by_line = {reward.line.line: place for place, reward in enumerate(rewards)}
        direct = self._deliveries[settlement.campaign].delivery is Delivery.DIRECT
        fresh = settlement.round_id in self._new
        for move, transfer_id in zip(moves, posted, strict=True):
            state = _PRIZE_STATES.get((move.type, move.credit.kind))
            if state is None:
                continue
            place = by_line[move.ordinal]
            was = rewards[place].state
            if not fresh:
                step(edges=REWARD_EDGES, was=was, to=state)
            rewards[place] = rewards[place]._replace(state=state, transfer_id=transfer_id)
            if state is RewardState.CLAIMABLE:
                self._claimable.setdefault(settlement.round_id, set()).add(place)
        for line, code in held.items():
            kept = rewards[by_line[line]]
            rewards[by_line[line]] = kept._replace(state=RewardState.HELD, transfer_id=posted[0], note=code)
        for credit in credits_of(moves):
            prize = None
            if direct and credit.ordinal:
                prize = DirectPrize(settlement.campaign, rewards[by_line[credit.ordinal]])
            self._credited.append(Credited(credit, source, correlation_id, prize))

    def _watch_levels(self) -> None:
        for key in sorted(self._moved_campaigns):
            self._campaigns[key], low = watch_level(self._campaigns[key])
            if low is not None:
                self._told.append(low)

    async def _open_claims(self, round_id: UUID, *, work: Work, now: datetime) -> list[Event]:
        settlement = self._rounds[round_id].settlement
        return await open_claims(
            [self._rewards[round_id][place] for place in sorted(self._claimable[round_id])],
            settlement=settlement,
            campaign=self._deliveries[settlement.campaign],
            work=work,
            now=now,
        )

    def _mark(self, followed: FollowUp) -> None:
        """Put payouts and notes on the prizes."""
        if not followed.payouts and not followed.without_method:
            return
        for rewards in self._rewards.values():
            for place, reward in enumerate(rewards):
                payout = followed.payouts.get(reward.id)
                if payout is not None:
                    rewards[place] = reward._replace(payout_id=payout.id, note=None)
                elif reward.id in followed.without_method:
                    rewards[place] = reward._replace(note=NO_PAYOUT_METHOD)

    def _events(self, followed: FollowUp) -> list[Event]:
        """Events in the order of what they tell; payouts come after the prizes that they pay."""
        events: list[Event] = []
        asked: dict[UUID, list[PayoutAsked]] = defaultdict(list)
        for reward_id, payout in followed.payouts.items():
            if payout.round_id is not None:
                asked[payout.round_id].append(PayoutAsked(payout=payout, reward_ids=(reward_id,)))
        for told in self._told:
            if not isinstance(told, _Told):
                events.append(told)
                continue
            events.extend(self._moved(told))
            events.extend(replace(event, cause=told.cause) for event in asked.pop(told.round_id, ()))
        return events

    def _moved(self, told: _Told) -> Iterable[RewardsMoved]:
        settlement = self._rounds[told.round_id].settlement
        parts: defaultdict[int, list[Reward]] = defaultdict(list)
        for reward in self._rewards[told.round_id]:
            parts[reward.line.part].append(reward)
        for part in range(1, settlement.parts + 1):
            round_ = self._rounds[told.round_id]
            self._rounds[told.round_id] = replace(round_, version=round_.version + 1)
            if told.round_id not in self._new:
                self._changed.add(told.round_id)
            yield RewardsMoved(
                settlement=settlement,
                part=part,
                rewards=parts[part],
                what=Told.RELEASED if told.released else Told.ALLOCATED,
                version=round_.version + 1,
                cause=told.cause,
            )


def _reward_id(settlement: Settlement, line: Line) -> UUID:
    return ids.reward_id(round_id=settlement.round_id, player=line.player)
