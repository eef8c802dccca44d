"""Changes of rounds, and of the pools and queues of their campaigns, in one transaction: what handlers decide, before it is
stored. New rounds are booked or
queued here, and waiting ones are released.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from prizewire_contracts import ids
from prizewire_rewards.campaigns.domain.model import (
    ACCEPTS_PRIZES,
    CAMPAIGN_EDGES,
    Campaign,
    CampaignChanged,
    CampaignState,
    Delivery,
    PoolExhausted,
)
from prizewire_rewards.ledger.domain.accounts import Kind, Move, TransferType
from prizewire_rewards.ledger.domain.receivables import Receivable, ReceivableStep
from prizewire_rewards.ledger.domain.records import Event, Transition, step
from prizewire_rewards.ledger.handlers import Booking, Debt, UnitOfWork
from prizewire_rewards.payouts.domain.model import Payout
from prizewire_rewards.prizes.domain.booking import reserved_moves
from prizewire_rewards.prizes.domain.model import (
    Line,
    Reward,
    RewardEventKind,
    Round,
    RoundWork,
    Settlement,
)
from prizewire_rewards.prizes.domain.paid import PaidPrizes, PrizeCredit, prize_credit
from prizewire_rewards.prizes.domain.states import REWARD_EDGES, ROUND_EDGES, RewardState, RoundState
from prizewire_rewards.prizes.handlers import organizer_fee_parties, prize_parties

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
    paid: tuple[PaidPrizes, ...] = ()

    def __add__(self, other: "Booked") -> "Booked":
        return Booked(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event about prizes of a round: all with a line, or ``only`` those with these ids, or ``these`` as given. With
    ``every``, each part has an event, also a part without prizes.
    """

    round_id: UUID
    what: RewardEventKind
    cause: str
    only: frozenset[UUID] | None = None
    these: Sequence[Reward] | None = None
    every: bool = False


class RoundChanges:
    """The changes of rounds, their prizes and campaigns in one transaction. ``save_changes`` stores them.

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
        uow: UnitOfWork,
        earlier_events: Mapping[UUID, int] = NO_EVENTS,
    ) -> None:
        self.campaigns = dict(campaigns)
        self.deliveries = deliveries
        self.rounds = dict(rounds)
        self.rewards: dict[UUID, list[Reward]] = {key: list(found) for key, found in rewards.items()}
        self.uow = uow
        self.moved_campaigns: set[UUID] = set()
        self.new: set[UUID] = set()
        self.changed: set[UUID] = set()
        self.added: list[Reward] = []
        """New prizes of rounds that existed before."""
        self.direct: dict[str, Settlement] = {}
        """The settlements whose credits are paid out directly, by the cause of the credits."""
        self.claims: dict[UUID, set[UUID]] = {}
        """The prizes that became claimable, by round."""
        self.debts: list[Debt] = []
        """Debts to be opened."""
        self.receivables: list[Receivable] = []
        """Changed debts, locked."""
        self.payouts: list[Payout] = []
        """Changed payouts, locked."""
        self.work: list[RoundWork] = []
        """Work on large rounds, to follow their pending work."""
        self.events: list[PendingEvent | Event] = []
        self.counts = Booked()
        self.credited: list[PrizeCredit] = []
        """Credits of prizes, for metrics."""
        self._earlier_events = earlier_events

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
        self.counts += Booked(unfunded=1)
        campaign = replace(campaign, queued=campaign.queued + 1, queue_tail=position)
        self.campaigns[campaign.id] = campaign
        self.moved_campaigns.add(campaign.id)
        if campaign.state is CampaignState.ACTIVE:
            campaign = self._move_campaign(campaign, CampaignState.EXHAUSTED, cause=cause)
            campaign = replace(campaign, version=campaign.version + 1)
            self.campaigns[campaign.id] = campaign
            self.events.append(PoolExhausted(campaign=campaign, cause=cause))
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
        self.uow.transitions.append(
            Transition(
                "campaign",
                campaign.id,
                was=campaign.state,
                to=state,
                cause=cause,
                correlation_id=str(campaign.id),
            )
        )
        self.events.append(CampaignChanged(campaign=moved, actor=SYSTEM, created=False))
        return moved

    def delivery(self, settlement: Settlement) -> Delivery:
        """How final prizes of the round are delivered."""
        return self.deliveries[settlement.campaign].delivery

    def keep(self, round_: Round) -> None:
        """Store a round that changed without a transition."""
        self.rounds[round_.settlement.round_id] = round_
        self.changed.add(round_.settlement.round_id)

    def advance(self, round_: Round, *, cause: str) -> None:
        """Store a round that made a transition."""
        was = self.rounds[round_.settlement.round_id].state
        settlement = round_.settlement
        self.keep(round_)
        self.uow.transitions.append(
            Transition(
                "round",
                settlement.round_id,
                was=was,
                to=round_.state,
                cause=cause,
                correlation_id=settlement.correlation_id,
            )
        )

    def add_rewards(self, rewards: Iterable[Reward]) -> None:
        """Add prizes to existing rounds."""
        for reward in rewards:
            self.rewards[reward.round_id].append(reward)
            self.added.append(reward)

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
        ``save_changes`` builds it.
        """
        self.changed.add(round_id)
        chosen = None if only is None else frozenset(only)
        self.events.append(PendingEvent(round_id, what, cause, chosen, these, every))

    def undo(self, step: ReceivableStep) -> UUID:
        """Add one change of a locked debt. Returns the id of its first transfer."""
        self.receivables.append(step.debt)
        self.events.append(step.event)
        cause, correlation_id = step.debt.step_cause, step.debt.correlation_id
        booking = Booking(step.moves, cause=cause, correlation_id=correlation_id)
        self.uow.bookings.append(booking)
        return booking.transfers[0].id

    def change_payout(self, was: Payout, payout: Payout, *, cause: str) -> None:
        """Store a locked payout that made a transition."""
        self.payouts.append(payout)
        self.uow.transitions.append(
            Transition(
                "payout",
                payout.id,
                was=was.state,
                to=payout.state,
                cause=cause,
                correlation_id=payout.correlation_id,
            )
        )

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
        campaign = self.deliveries[settlement.campaign]
        credited_by = prize_parties(settlement, campaign, released_by=released_by)
        fees = [move for move in moves if move.type is TransferType.ORGANIZER_FEE]
        others = [move for move in moves if move.type is not TransferType.ORGANIZER_FEE] if fees else moves
        booking = Booking(
            others, cause=cause, correlation_id=settlement.correlation_id, credited_by=credited_by
        )
        self.uow.bookings.append(booking)
        posted = [transfer.id for transfer in booking.transfers]
        if fees:
            self.uow.bookings.append(
                Booking(
                    fees,
                    cause=cause,
                    correlation_id=settlement.correlation_id,
                    credited_by=organizer_fee_parties(settlement, campaign),
                )
            )
        self._update_rewards(settlement, others, posted)
        if campaign.delivery is Delivery.DIRECT:
            self.direct[cause] = settlement
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
            if state is RewardState.CREDITED:
                self.credited.append(
                    prize_credit(rewards[place], was=was, asset=settlement.asset, amount=move.amount)
                )
            elif state is RewardState.CLAIMABLE:
                self.claims.setdefault(round_id, set()).add(reward_id)

    def begin(self, round_: Round, *, cause: str) -> None:
        """Add a new round."""
        head = round_.settlement
        round_ = replace(round_, version=self._earlier_events.get(head.round_id, 0))
        self.rounds[head.round_id] = round_
        self.uow.transitions.append(
            Transition(
                "round",
                head.round_id,
                was="",
                to=round_.state,
                cause=cause,
                correlation_id=head.correlation_id,
            )
        )


NOTHING_HELD: Mapping[int, str] = {}


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
        changes.counts += Booked(lines=len(lines))
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
        changes.counts += Booked(rounds=1)
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
    changes.counts += Booked(rounds=1)
    rewards = changes.rewards[round_id]
    held = {reward.line.line: reward.note for reward in rewards if reward.note is not None}
    lines = [reward.line for reward in rewards if reward.line.line > 0]
    changes.counts += Booked(lines=len(lines))
    if held:
        _hold(changes, round_id, {line: str(code) for line, code in held.items()})
    delivery = changes.delivery(settlement)
    changes.post(settlement, reserved_moves(settlement, lines, delivery=delivery, held=held))
    changes.emit(round_id, RewardEventKind.RELEASED, cause=cause, every=True)
    if held:
        _emit_held(changes, round_id, cause=cause)


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
