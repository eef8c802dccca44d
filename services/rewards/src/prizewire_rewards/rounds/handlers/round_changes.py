"""Changes of rounds, and of the pools and queues of their campaigns, in one transaction, and how they are saved together."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import (
    CAMPAIGN_EDGES,
    Campaign,
    CampaignChanged,
    CampaignState,
    Delivery,
    PoolExhausted,
)
from prizewire_rewards.claims.handlers.claims import open_claims
from prizewire_rewards.ledger.domain.accounts import Kind, Move, TransferType
from prizewire_rewards.ledger.domain.receivables import Receivable, ReceivableStep
from prizewire_rewards.ledger.domain.records import Credit, Event, credits_of, step
from prizewire_rewards.ledger.handlers import Debt, UnitOfWork, open_receivables
from prizewire_rewards.payouts.domain.model import Payout
from prizewire_rewards.payouts.handlers.requests import NO_PAYOUT_METHOD, DirectPrize, request_direct
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.prizes.domain.model import Reward, RewardEventKind, Round, RoundWork, Settlement
from prizewire_rewards.prizes.domain.states import REWARD_EDGES, RewardState, RoundState
from prizewire_rewards.prizes.handlers import organizer_fee_parties, prize_parties
from prizewire_rewards.rounds.handlers.follow_ups import (
    PendingEvent,
    build_events,
    close_lost_claims,
    recount_changed,
    update_levels,
)
from prizewire_rewards.rounds.ports import RoundPorts

SYSTEM = "rewards"
NO_EVENTS: Mapping[UUID, int] = {}
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
    """Counts for metrics."""

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


class RoundChanges:
    """The changes of rounds, their prizes and campaigns in one transaction.

    The caller loads and locks rounds and campaigns; campaigns in ``deliveries`` are loaded without a lock.
    ``earlier_events`` has the numbers of earlier events of rounds that are not booked yet.
    """

    def __init__(
        self,
        *,
        campaigns: Mapping[UUID, Campaign],
        deliveries: Mapping[UUID, Campaign],
        rounds: Mapping[UUID, Round],
        rewards: Mapping[UUID, Sequence[Reward]],
        earlier_events: Mapping[UUID, int] = NO_EVENTS,
        ports: RoundPorts,
        now: datetime,
    ) -> None:
        self.campaigns = dict(campaigns)
        self.moved_campaigns: set[UUID] = set()
        self.rounds = dict(rounds)
        self.rewards: dict[UUID, list[Reward]] = {key: list(found) for key, found in rewards.items()}
        self.counts = Booked()
        self._deliveries = deliveries
        self._earlier_events = earlier_events
        self._ports = ports
        self._uow = UnitOfWork(ports, now=now)
        self._events: list[PendingEvent | Event] = []
        self._queued_rounds = 0
        self.new: set[UUID] = set()
        self._added: list[Reward] = []
        self._changed: set[UUID] = set()
        self._direct: dict[tuple[str, int], tuple[Settlement, Credit]] = {}
        self._debts: list[Debt] = []
        self._receivables: list[Receivable] = []
        self._payouts: list[Payout] = []
        self._claims: dict[UUID, set[UUID]] = {}
        self._work: list[RoundWork] = []
        self.booked_rounds = 0
        self.booked_lines = 0

    def reopen_if_paid(self, campaign_id: UUID) -> None:
        """Set an exhausted campaign active again if no round waits in its queue."""
        campaign = self.campaigns[campaign_id]
        if campaign.state is CampaignState.EXHAUSTED and not campaign.queued:
            self._move_campaign(campaign, CampaignState.ACTIVE, cause=f"campaign/{campaign_id}/queue-empty")

    def grant(self, campaign_id: UUID, amount: int) -> None:
        """Reduce a pool by a granted amount; a negative amount came back to it."""
        campaign = self.campaigns[campaign_id]
        self.campaigns[campaign_id] = replace(
            campaign, available=campaign.available - amount, granted=campaign.granted + amount
        )
        self.moved_campaigns.add(campaign_id)

    def queue(self, round_: Round, *, cause: str) -> Round:
        """Add a round at the end of its campaign's queue. Returns the round with its position."""
        campaign = self.campaigns[round_.settlement.campaign]
        position = campaign.queue_tail + 1
        self._queued_rounds += 1
        campaign = replace(campaign, queued=campaign.queued + 1, queue_tail=position)
        self.campaigns[campaign.id] = campaign
        self.moved_campaigns.add(campaign.id)
        if campaign.state is CampaignState.ACTIVE:
            campaign = self._move_campaign(campaign, CampaignState.EXHAUSTED, cause=cause)
            campaign = replace(campaign, version=campaign.version + 1)
            self.campaigns[campaign.id] = campaign
            self._events.append(PoolExhausted(campaign=campaign, cause=cause))
        return replace(round_, queue_position=position)

    def dequeue(self, round_: Round, *, state: RoundState) -> Round:
        """Remove a round from the queue. The caller stores the returned round, which has its new state."""
        campaign = self.campaigns[round_.settlement.campaign]
        self.campaigns[campaign.id] = replace(campaign, queued=campaign.queued - 1)
        self.moved_campaigns.add(campaign.id)
        return replace(round_, state=state, queue_position=None, short=0)

    def _move_campaign(self, campaign: Campaign, to: CampaignState, *, cause: str) -> Campaign:
        state = step(edges=CAMPAIGN_EDGES, was=campaign.state, to=to)
        moved = replace(campaign, state=state, version=campaign.version + 1)
        self.campaigns[campaign.id] = moved
        self.moved_campaigns.add(campaign.id)
        self._uow.transition(
            "campaign",
            campaign.id,
            was=campaign.state,
            to=state,
            cause=cause,
            correlation_id=str(campaign.id),
        )
        self._events.append(CampaignChanged(campaign=moved, actor=SYSTEM, created=False))
        return moved

    def delivery(self, settlement: Settlement) -> Delivery:
        """How final prizes of the round are delivered."""
        return self._deliveries[settlement.campaign].delivery

    def keep(self, round_: Round) -> None:
        """Store a round that changed without a transition."""
        self.rounds[round_.settlement.round_id] = round_
        self._changed.add(round_.settlement.round_id)

    def advance(self, round_: Round, *, cause: str) -> None:
        """Store a round that made a transition."""
        was = self.rounds[round_.settlement.round_id].state
        settlement = round_.settlement
        self.keep(round_)
        self._uow.transition(
            "round",
            settlement.round_id,
            was=was,
            to=round_.state,
            cause=cause,
            correlation_id=settlement.correlation_id,
        )

    def add_rewards(self, rewards: Iterable[Reward]) -> None:
        """Add prizes to existing rounds."""
        for reward in rewards:
            self.rewards[reward.round_id].append(reward)
            self._added.append(reward)

    def emit(
        self,
        round_id: UUID,
        what: RewardEventKind,
        *,
        cause: str,
        only: Iterable[UUID] | None = None,
        these: Sequence[Reward] | None = None,
        every: bool = False,
    ) -> None:
        """Add an event about prizes of a round: about all, about ``only`` those with these ids, or about ``these`` as given.
        ``save`` builds it.
        """
        self._changed.add(round_id)
        chosen = None if only is None else frozenset(only)
        self._events.append(PendingEvent(round_id, what, cause, chosen, these, every))

    def emit_other(self, event: Event) -> None:
        """Add an event that is not about prizes, at this place of the order."""
        self._events.append(event)

    def owe(self, debt: Debt) -> None:
        """Open a debt of a player."""
        self._debts.append(debt)

    def undo(self, step: ReceivableStep) -> UUID:
        """Add one change of a locked debt. Returns the id of its first transfer."""
        self._receivables.append(step.debt)
        self._events.append(step.event)
        cause, correlation_id = step.debt.step_cause, step.debt.correlation_id
        return self._uow.book(step.moves, cause=cause, correlation_id=correlation_id)[0]

    def change_payout(self, was: Payout, payout: Payout, *, cause: str) -> None:
        """Store a locked payout that made a transition."""
        self._payouts.append(payout)
        self._uow.transition(
            "payout",
            payout.id,
            was=was.state,
            to=payout.state,
            cause=cause,
            correlation_id=payout.correlation_id,
        )

    def work_on(self, task: RoundWork) -> None:
        """Add work on a large round after its pending work."""
        self._work.append(task)

    def count(self, booked: Booked) -> None:
        """Add to the counts for metrics."""
        self.counts += booked

    def post(
        self,
        settlement: Settlement,
        moves: list[Move],
        *,
        step_name: str = "",
        released_by: str | None = None,
    ) -> list[UUID]:
        """Book the moves, and update each prize by its move. ``step_name`` makes the cause unique where one version of the
        settlement has several groups of moves. ``released_by`` is the person who released the prize.
        """
        cause = f"round/{settlement.round_id}/{settlement.settlement_version}{step_name}"
        campaign = self._deliveries[settlement.campaign]
        credited_by = prize_parties(settlement, campaign, released_by=released_by)
        fees = [move for move in moves if move.type is TransferType.ORGANIZER_FEE]
        others = [move for move in moves if move.type is not TransferType.ORGANIZER_FEE] if fees else moves
        posted = self._uow.book(
            others, cause=cause, correlation_id=settlement.correlation_id, credited_by=credited_by
        )
        if fees:
            self._uow.book(
                fees,
                cause=cause,
                correlation_id=settlement.correlation_id,
                credited_by=organizer_fee_parties(settlement, campaign),
            )
        self._update_rewards(settlement, others, posted)
        if campaign.delivery is Delivery.DIRECT:
            for credit in credits_of(others):
                if credit.ordinal:
                    self._direct[cause, credit.ordinal] = (settlement, credit)
        return posted

    def _update_rewards(self, settlement: Settlement, moves: Sequence[Move], posted: Sequence[UUID]) -> None:
        """Give each prize the state and the transfer of its move."""
        rewards = self.rewards[settlement.round_id]
        by_line = {reward.line.line: place for place, reward in enumerate(rewards)}
        fresh = settlement.round_id in self.new
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

    async def save(self, *, tools: PayoutTools) -> Booked:
        """Post, recover debts, and store all changes and events."""
        uow, ports, now = self._uow, self._ports, self._uow.now
        await uow.post()
        self._events += update_levels(self.campaigns, self.moved_campaigns)
        if self.moved_campaigns:
            # Before debts are recovered: recovered money is added to the stored pools.
            await ports.campaigns.save([self.campaigns[key] for key in sorted(self.moved_campaigns)])
        if self._receivables:
            await ports.receivables.save(self._receivables)
        if self._debts:
            await open_receivables(self._debts, uow=uow, ports=ports)
        payouts = await self._pay_out(tools=tools)
        uow.emit(*build_events(self._events, payouts, rounds=self.rounds, rewards=self.rewards))
        await self._store()
        changed = {key: self.rewards.get(key, ()) for key in sorted(self._changed - self.new)}
        if changed:
            await recount_changed(changed, rounds=self.rounds, campaigns=self.campaigns, ports=ports, now=now)
        if payouts:
            await ports.payouts.add(list(payouts.values()), now=now)
        if self._payouts:
            await ports.payouts.save(self._payouts, now=now)
        for round_id, opened in self._claims.items():
            claimable = [reward for reward in self.rewards[round_id] if reward.id in opened]
            head = self.rounds[round_id].settlement
            campaign = self._deliveries[head.campaign]
            await open_claims(claimable, settlement=head, campaign=campaign, uow=uow, ports=ports)
        if changed:
            await close_lost_claims(
                changed, rounds=self.rounds, deliveries=self._deliveries, uow=uow, ports=ports
            )
        await uow.save()
        done = Booked(
            rounds=self.booked_rounds,
            unfunded=self._queued_rounds,
            lines=self.booked_lines,
            payouts=len(payouts),
            netted=uow.recoveries,
            owed=len(self._debts),
            work=len(self._work),
        )
        return done + self.counts

    async def _pay_out(self, *, tools: PayoutTools) -> dict[UUID, Payout]:
        """Recover debts from the credits, and request payouts of the remaining amounts of direct prizes."""
        uow = self._uow
        players = {credit.account.owner for _, credit in self._direct.values()}
        methods = await self._ports.methods.defaults(players) if players else {}
        by_line = {
            round_id: {reward.line.line: reward for reward in self.rewards[round_id]}
            for round_id in {settlement.round_id for settlement, _ in self._direct.values()}
        }
        prizes: dict[tuple[str, int], DirectPrize] = {}
        without_method: dict[tuple[str, int], UUID] = {}
        for key, (settlement, credit) in self._direct.items():
            reward = by_line[settlement.round_id][credit.ordinal]
            method = methods.get(credit.account.owner)
            if method is None:
                without_method[key] = reward.id
                continue
            prizes[key] = DirectPrize(
                settlement.campaign,
                settlement.round_id,
                reward.id,
                reward.next_payout_ordinal,
                settlement.correlation_id,
                method,
            )
        remainders = await uow.recover_debts(leaving=prizes.keys())
        left = {(credited.cause, credited.credit.ordinal): amount for credited, amount in remainders}
        payouts = request_direct(remainders, prizes, uow=uow, tools=tools) if prizes else {}
        await uow.post()
        self._mark(payouts, {reward_id for key, reward_id in without_method.items() if left[key]})
        for payout in payouts.values():
            uow.transition(
                "payout",
                payout.id,
                was="",
                to=payout.state,
                cause=f"round/{payout.round_id}",
                correlation_id=payout.correlation_id,
            )
        return payouts

    async def _store(self) -> None:
        """Store rounds, prizes and work on them."""
        ports, now = self._ports, self._uow.now
        if self.new:
            added = [self.rounds[key] for key in self.new]
            rewards = [reward for key in self.new for reward in self.rewards.get(key, ())]
            await ports.rounds.add(added, rewards, now=now)
        changed = self._changed - self.new
        added_later = {reward.id for reward in self._added}
        if changed:
            saved = [self.rounds[key] for key in changed]
            moved = [reward for key in changed for reward in self.rewards.get(key, ())]
            if added_later:
                fresh = [reward for reward in moved if reward.id in added_later]
                await ports.rounds.add_rewards(
                    fresh, assets={r.settlement.round_id: r.settlement.asset for r in saved}
                )
                moved = [reward for reward in moved if reward.id not in added_later]
            await ports.rounds.save(saved, moved, now=now)
        if self._work:
            await ports.rounds.add_work(self._work, now=now)

    def begin(self, round_: Round, *, cause: str) -> None:
        """Add a new round."""
        head = round_.settlement
        round_ = replace(round_, version=self._earlier_events.get(head.round_id, 0))
        self.rounds[head.round_id] = round_
        self._uow.transition(
            "round", head.round_id, was="", to=round_.state, cause=cause, correlation_id=head.correlation_id
        )

    def _mark(self, payouts: Mapping[UUID, Payout], without_method: Collection[UUID]) -> None:
        """Store payouts and notes with the prizes."""
        if not payouts and not without_method:
            return
        for rewards in self.rewards.values():
            for place, reward in enumerate(rewards):
                payout = payouts.get(reward.id)
                if payout is not None:
                    rewards[place] = reward._replace(
                        payout_id=payout.id, payout_ordinal=reward.next_payout_ordinal, note=None
                    )
                elif reward.id in without_method:
                    rewards[place] = reward._replace(note=NO_PAYOUT_METHOD)
