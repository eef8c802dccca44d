"""What decisions on rounds are made of: what is loaded, what changes, and how it is saved together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_rewards.campaigns.domain.events import CampaignChanged, PoolExhausted
from prizewire_rewards.campaigns.domain.model import CAMPAIGN_EDGES, Campaign, CampaignState, Delivery
from prizewire_rewards.claims.handlers.claims import open_claims
from prizewire_rewards.ledger.domain.accounts import Kind, Move, TransferType
from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.ledger.domain.moves import credits_of
from prizewire_rewards.ledger.domain.receivables import Receivable
from prizewire_rewards.ledger.domain.transitions import Transition, step
from prizewire_rewards.ledger.handlers.journal import Journal
from prizewire_rewards.ledger.handlers.receivables import Debt, open_receivables
from prizewire_rewards.payouts.domain.model import Payout
from prizewire_rewards.payouts.handlers.crediting import (
    NO_PAYOUT_METHOD,
    Credited,
    DirectPrize,
    FollowUp,
    follow_up,
)
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.prizes.domain.events import Told
from prizewire_rewards.prizes.domain.model import Reward, Round, RoundWork, Settlement
from prizewire_rewards.prizes.domain.states import REWARD_EDGES, RewardState, RoundState
from prizewire_rewards.prizes.handlers.behind import behind_organizer_fee, behind_prize
from prizewire_rewards.rounds.handlers.following import close_lost, recount_changed, watch_levels
from prizewire_rewards.rounds.handlers.telling import Telling, tell
from prizewire_rewards.rounds.ports import RoundPorts

SYSTEM = "rewards"
NOTHING_TOLD: Mapping[UUID, int] = {}
_PRIZE_MOVES = frozenset(
    {
        TransferType.PRIZE_PENDING,
        TransferType.PRIZE_CREDITED,
        TransferType.PRIZE_MATURED,
        TransferType.CLAIM_OPENED,
    }
)
_STATE_IN = {
    Kind.PENDING: RewardState.PENDING,
    Kind.WINNINGS: RewardState.CREDITED,
    Kind.CLAIMABLE: RewardState.CLAIMABLE,
}


@dataclass(frozen=True, slots=True)
class Booked:
    """Counts of what was done, for metrics."""

    rounds: int = 0
    unfunded: int = 0
    lines: int = 0
    payouts: int = 0
    netted: int = 0
    corrected: int = 0
    voided: int = 0
    owed: int = 0
    work: int = 0

    def __add__(self, other: "Booked") -> "Booked":
        return Booked(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


class Books:
    """Rounds and campaigns that are loaded (and, but for ``deliveries``, locked) in one transaction. ``told`` counts the
    events of rounds that are not booked yet, where there were any.
    """

    def __init__(
        self,
        *,
        campaigns: Mapping[UUID, Campaign],
        deliveries: Mapping[UUID, Campaign],
        rounds: Mapping[UUID, Round],
        rewards: Mapping[UUID, Sequence[Reward]],
        told: Mapping[UUID, int] = NOTHING_TOLD,
    ) -> None:
        self.campaigns = dict(campaigns)
        self.rounds = dict(rounds)
        self.rewards: dict[UUID, list[Reward]] = {key: list(found) for key, found in rewards.items()}
        self.counts = Booked()
        self._deliveries = deliveries
        self._told_before = told
        self._new: set[UUID] = set()
        self._born: list[Reward] = []
        self._changed: set[UUID] = set()
        self._moved_campaigns: set[UUID] = set()
        self._journal = Journal()
        self._credited: list[Credited] = []
        self._transitions: list[Transition] = []
        self._told: list[Telling | Event] = []
        self._debts: list[Debt] = []
        self._receivables: list[Receivable] = []
        self._payouts: list[Payout] = []
        self._claims: dict[UUID, set[UUID]] = {}
        self._work: list[RoundWork] = []
        self._booked_rounds = 0
        self._booked_lines = 0
        self._queued_rounds = 0

    def delivery(self, settlement: Settlement) -> Delivery:
        """What follows once a prize of the round is final."""
        return self._deliveries[settlement.campaign].delivery

    def reopen_if_paid(self, campaign_id: UUID) -> None:
        """An exhausted campaign whose queue is empty is active again."""
        campaign = self.campaigns[campaign_id]
        if campaign.state is CampaignState.EXHAUSTED and not campaign.queued:
            self._move_campaign(campaign, CampaignState.ACTIVE, cause=f"campaign/{campaign_id}/queue-empty")

    def grant(self, campaign_id: UUID, amount: int) -> None:
        """Count what a pool gave; below zero, what came back to it."""
        campaign = self.campaigns[campaign_id]
        self.campaigns[campaign_id] = replace(
            campaign, available=campaign.available - amount, granted=campaign.granted + amount
        )
        self._moved_campaigns.add(campaign_id)

    def queue(self, round_: Round, *, cause: str) -> Round:
        """Let a round wait behind the others of its campaign; answers it with its place."""
        campaign = self.campaigns[round_.settlement.campaign]
        position = campaign.queue_tail + 1
        self._queued_rounds += 1
        campaign = replace(campaign, queued=campaign.queued + 1, queue_tail=position)
        self.campaigns[campaign.id] = campaign
        self._moved_campaigns.add(campaign.id)
        if campaign.state is CampaignState.ACTIVE:
            campaign = self._move_campaign(campaign, CampaignState.EXHAUSTED, cause=cause)
            campaign = replace(campaign, version=campaign.version + 1)
            self.campaigns[campaign.id] = campaign
            self._told.append(PoolExhausted(campaign=campaign, cause=cause))
        return replace(round_, queue_position=position)

    def dequeue(self, round_: Round, *, state: RoundState) -> Round:
        """A round waits no more; answers it in its new state, which is still to be kept."""
        campaign = self.campaigns[round_.settlement.campaign]
        self.campaigns[campaign.id] = replace(campaign, queued=campaign.queued - 1)
        self._moved_campaigns.add(campaign.id)
        return replace(round_, state=state, queue_position=None, short=0)

    def keep(self, round_: Round) -> None:
        """A round that changed without a step."""
        self.rounds[round_.settlement.round_id] = round_
        self._changed.add(round_.settlement.round_id)

    def advance(self, round_: Round, *, cause: str) -> None:
        """A round that took a step."""
        was = self.rounds[round_.settlement.round_id].state
        settlement = round_.settlement
        self.keep(round_)
        self._transitions.append(
            Transition("round", settlement.round_id, was, round_.state, cause, settlement.correlation_id)
        )

    def bear(self, reward: Reward) -> None:
        """A prize that comes into being after its round."""
        self.rewards[reward.round_id].append(reward)
        self._born.append(reward)

    def tell(
        self,
        round_id: UUID,
        what: Told,
        *,
        cause: str,
        only: Iterable[UUID] | None = None,
        these: Sequence[Reward] | None = None,
        every: bool = False,
    ) -> None:
        """Tell of prizes once everything is known of them; ``only`` of some, or of ``these`` as they are."""
        self._changed.add(round_id)
        chosen = None if only is None else frozenset(only)
        self._told.append(Telling(round_id, what, cause, chosen, these, every))

    def announce(self, event: Event) -> None:
        """Tell something else, at this point of the order."""
        self._told.append(event)

    def owe(self, debt: Debt) -> None:
        """Let a player owe."""
        self._debts.append(debt)

    def lift(self, debt: Receivable, *, moves: list[Move]) -> UUID:
        """Undo a part of a debt; answers the transfer."""
        self._receivables.append(debt)
        source = f"receivable/{debt.id}/{debt.version}"
        return self._journal.add(moves, cause=source, correlation_id=debt.correlation_id)[0]

    def change_payout(self, was: Payout, payout: Payout, *, cause: str) -> None:
        """A locked payout that took a step."""
        self._payouts.append(payout)
        self._transitions.append(
            Transition("payout", payout.id, was.state, payout.state, cause, payout.correlation_id)
        )

    def work_on(self, task: RoundWork) -> None:
        """Put work on a large round behind what is to be done there."""
        self._work.append(task)

    def count(self, booked: Booked) -> None:
        """Count what was done besides."""
        self.counts += booked

    def post(
        self,
        settlement: Settlement,
        moves: list[Move],
        *,
        step_name: str = "",
        released_by: str | None = None,
    ) -> list[UUID]:
        """Journal the moves, and let each prize follow its own. A ``step_name`` tells moves apart that are made again
        under one version of the settlement; ``released_by`` is who let the prize go.
        """
        correlation_id = settlement.correlation_id
        source = f"round/{settlement.round_id}/{settlement.settlement_version}{step_name}"
        posted = self._journal.add(moves, cause=source, correlation_id=correlation_id)
        rewards = self.rewards[settlement.round_id]
        by_line = {reward.line.line: place for place, reward in enumerate(rewards)}
        delivery = self.delivery(settlement)
        direct = delivery is Delivery.DIRECT
        fresh = settlement.round_id in self._new
        for move, transfer_id in zip(moves, posted, strict=True):
            if move.type not in _PRIZE_MOVES:
                continue
            place = by_line[move.ordinal]
            state = _STATE_IN[move.credit.kind]
            reward_id, round_id, line, was, _, note, payout_id, short, version, ordinal = rewards[place]
            if not fresh and was is not state:
                step(edges=REWARD_EDGES, was=was, to=state)
            rewards[place] = Reward(
                reward_id, round_id, line, state, transfer_id, note, payout_id, short, version, ordinal
            )
            if state is RewardState.CLAIMABLE:
                self._claims.setdefault(round_id, set()).add(reward_id)
        campaign = self._deliveries[settlement.campaign]
        behind = behind_prize(settlement, campaign, released_by=released_by)
        of_fee = behind_organizer_fee(settlement, campaign)
        for move in moves:
            for credit in credits_of([move]):
                prize = None
                if direct and credit.ordinal:
                    reward = rewards[by_line[credit.ordinal]]
                    prize = DirectPrize(
                        settlement.campaign, settlement.round_id, reward.id, reward.next_payout_ordinal
                    )
                who = of_fee if move.type is TransferType.ORGANIZER_FEE else behind
                self._credited.append(Credited(credit, source, correlation_id, prize, who))
        return posted

    async def save(self, *, ports: RoundPorts, tools: PayoutTools, now: datetime) -> Booked:
        """Post, follow up the credits, store everything that changed, and publish."""
        if self._journal.transfers:
            await ports.ledger.post(self._journal.transfers, now=now)
        self._told += watch_levels(self.campaigns, self._moved_campaigns)
        if self._moved_campaigns:
            # Before credits are followed up: what debts bring back to a pool is counted on top of this.
            await ports.campaigns.save([self.campaigns[key] for key in sorted(self._moved_campaigns)])
        if self._receivables:
            await ports.receivables.save(self._receivables)
        if self._debts:
            await open_receivables(self._debts, ports=ports, now=now)
        followed = await follow_up(self._credited, ports=ports, tools=tools, now=now)
        self._mark(followed)
        payouts = list(followed.payouts.values())
        events = tell(self._told, followed, rounds=self.rounds, rewards=self.rewards)
        self._transitions.extend(
            Transition(
                "payout", payout.id, "", payout.state, f"round/{payout.round_id}", payout.correlation_id
            )
            for payout in payouts
        )
        await self._store(ports=ports, now=now)
        changed = {key: self.rewards.get(key, ()) for key in sorted(self._changed - self._new)}
        await recount_changed(changed, rounds=self.rounds, campaigns=self.campaigns, ports=ports, now=now)
        if payouts:
            await ports.payouts.add(payouts, now=now)
        if self._payouts:
            await ports.payouts.save(self._payouts, now=now)
        if self._transitions:
            await ports.history.add(self._transitions, now=now)
        for round_id, opened in self._claims.items():
            events += await self._open_claims(round_id, opened, ports=ports, now=now)
        events += await close_lost(
            changed, rounds=self.rounds, deliveries=self._deliveries, ports=ports, now=now
        )
        if events:
            await ports.messages.publish(events)
        done = Booked(
            rounds=self._booked_rounds,
            unfunded=self._queued_rounds,
            lines=self._booked_lines,
            payouts=len(payouts),
            netted=followed.netted,
            owed=len(self._debts),
            work=len(self._work),
        )
        return done + self.counts

    async def _store(self, *, ports: RoundPorts, now: datetime) -> None:
        """Rounds, prizes and what is to be done on them."""
        if self._new:
            added = [self.rounds[key] for key in self._new]
            rewards = [reward for key in self._new for reward in self.rewards.get(key, ())]
            await ports.rounds.add(added, rewards, now=now)
        changed = self._changed - self._new
        born = {reward.id for reward in self._born}
        if changed:
            saved = [self.rounds[key] for key in changed]
            moved = [reward for key in changed for reward in self.rewards.get(key, ())]
            if born:
                fresh = [reward for reward in moved if reward.id in born]
                await ports.rounds.bear(
                    fresh, assets={r.settlement.round_id: r.settlement.asset for r in saved}
                )
                moved = [reward for reward in moved if reward.id not in born]
            await ports.rounds.save(saved, moved, now=now)
        if self._work:
            await ports.rounds.add_work(self._work, now=now)

    async def _open_claims(
        self, round_id: UUID, opened: set[UUID], *, ports: RoundPorts, now: datetime
    ) -> list[Event]:
        settlement = self.rounds[round_id].settlement
        return await open_claims(
            [reward for reward in self.rewards[round_id] if reward.id in opened],
            settlement=settlement,
            campaign=self._deliveries[settlement.campaign],
            ports=ports,
            now=now,
        )

    def _begin(self, round_: Round, *, cause: str) -> None:
        head = round_.settlement
        round_ = replace(round_, version=self._told_before.get(head.round_id, 0))
        self.rounds[head.round_id] = round_
        self._transitions.append(
            Transition("round", head.round_id, "", round_.state, cause, head.correlation_id)
        )

    def _move_campaign(self, campaign: Campaign, to: CampaignState, *, cause: str) -> Campaign:
        state = step(edges=CAMPAIGN_EDGES, was=campaign.state, to=to)
        moved = replace(campaign, state=state, version=campaign.version + 1)
        self.campaigns[campaign.id] = moved
        self._moved_campaigns.add(campaign.id)
        self._transitions.append(
            Transition("campaign", campaign.id, campaign.state, state, cause, str(campaign.id))
        )
        self._told.append(CampaignChanged(campaign=moved, actor=SYSTEM, created=False))
        return moved

    def _mark(self, followed: FollowUp) -> None:
        """Put payouts and notes on the prizes."""
        if not followed.payouts and not followed.without_method:
            return
        for rewards in self.rewards.values():
            for place, reward in enumerate(rewards):
                payout = followed.payouts.get(reward.id)
                if payout is not None:
                    rewards[place] = reward._replace(
                        payout_id=payout.id, payout_ordinal=reward.next_payout_ordinal, note=None
                    )
                elif reward.id in followed.without_method:
                    rewards[place] = reward._replace(note=NO_PAYOUT_METHOD)
