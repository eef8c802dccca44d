"""Decisions about locked claims of one campaign: collected in memory, saved together in one transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import (
    CAMPAIGN_EDGES,
    Campaign,
    CampaignChanged,
    CampaignState,
    check_level,
)
from prizewire_rewards.campaigns.domain.settings import CampaignSettings
from prizewire_rewards.claims.domain import (
    CLAIM_EDGES,
    CLAIM_SYSTEM,
    Claim,
    ClaimCode,
    ClaimMoved,
    ClaimState,
    Finding,
    claim_move,
    unclaimed_move,
)
from prizewire_rewards.claims.ports import ClaimPorts
from prizewire_rewards.ledger.domain.accounts import Move
from prizewire_rewards.ledger.domain.records import (
    NO_PARTIES,
    CreditParties,
    Transition,
    player_source,
    settings_writers,
    step,
)
from prizewire_rewards.ledger.handlers import Booking, UnitOfWork
from prizewire_rewards.prizes.domain.model import Reward, RewardEventKind, RewardsMoved, Round
from prizewire_rewards.prizes.domain.paid import PaidPrizes, PrizeCredit, prize_credit
from prizewire_rewards.prizes.domain.states import REWARD_EDGES, RewardState
from prizewire_rewards.prizes.handlers import count_paid, give_back, prize_parties

SYSTEM = CLAIM_SYSTEM
UNDER_REVIEW = ClaimCode.UNDER_REVIEW
REFUSED = ClaimCode.REFUSED
UNCLAIMED = ClaimCode.NOT_CLAIMED
"""The public codes of claims. They never show the reason of a decision."""
_KIND_OF = {
    RewardState.CREDITED: RewardEventKind.RELEASED,
    RewardState.REJECTED: RewardEventKind.REVERSED,
    RewardState.EXPIRED: RewardEventKind.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class _Moved:
    """A prize that left the claimable account."""

    claim: Claim
    state: RewardState


@dataclass(frozen=True, slots=True)
class _Approved:
    """An approved claim with the move of its prize, and the person who decided, where one did."""

    claim: Claim
    move: Move
    released_by: str | None


class ClaimDecisions:
    """Locked claims with their campaign, rounds and prizes."""

    def __init__(
        self,
        *,
        campaign: Campaign,
        rounds: dict[UUID, Round],
        rewards: dict[UUID, Reward],
        claims: dict[UUID, Claim],
        settings_at_opening: Mapping[int, CampaignSettings],
        uow: UnitOfWork,
    ) -> None:
        self.campaign = campaign
        self.claims = claims
        self._opened_under = settings_at_opening
        self._rounds = rounds
        self._rewards = rewards
        self._uow = uow
        self._approved: list[_Approved] = []
        self._moved: list[_Moved] = []
        self._changed: set[UUID] = set()
        self._credited: list[PrizeCredit] = []
        self.paid: tuple[PaidPrizes, ...] = ()
        """The prizes that ``save`` credited, for metrics."""

    @classmethod
    async def open(cls, found: Sequence[Claim], *, ports: ClaimPorts, now: datetime) -> "ClaimDecisions":
        """Lock the campaign, rounds and claims of claims of one campaign that were read without a lock."""
        campaign_id = found[0].campaign
        campaigns = await ports.campaigns.lock([campaign_id])
        rounds = await ports.rounds.lock({claim.round_id for claim in found})
        ids = [claim.reward_id for claim in found]
        claims = await ports.claims.lock(ids)
        rewards = await ports.rounds.prizes(ids)
        campaign = campaigns[campaign_id]
        earlier = {claim.settings_version for claim in claims.values()} - {campaign.settings_version}
        settings_at_opening = await ports.campaigns.settings(campaign_id, earlier) if earlier else {}
        return cls(
            campaign=campaign,
            rounds=rounds,
            rewards=rewards,
            claims=claims,
            settings_at_opening=settings_at_opening,
            uow=UnitOfWork(ports, now=now),
        )

    def terms(self, claim: Claim) -> tuple[CampaignSettings, ...]:
        """The settings that a claim is judged by: those at its opening, and those in force if they differ. The stricter of
        the two decides, so that no change of settings favours an existing claim.
        """
        now = self.campaign.settings
        if claim.settings_version == self.campaign.settings_version:
            return (now,)
        return (self._opened_under[claim.settings_version], now)

    def wrote_settings(self, player: str) -> bool:
        """Whether the player created the campaign or ever changed its settings."""
        return player in settings_writers(self.campaign.parties)

    def approve(self, claim: Claim, *, actor: str, reason: str | None = None) -> Claim:
        """Approve a claim: the prize goes to the winner's wallet."""
        decided = self._decide(claim, ClaimState.APPROVED, actor=actor, reason=reason)
        released_by = None if actor == SYSTEM else actor
        self._approved.append(_Approved(decided, claim_move(claim), released_by))
        return decided

    def refuse(
        self, claim: Claim, *, actor: str, reason: str | None, findings: tuple[Finding, ...] = ()
    ) -> Claim:
        """Refuse a claim: the prize goes back to the pool."""
        kept = replace(claim, findings=findings) if findings else claim
        decided = self._decide(kept, ClaimState.REJECTED, actor=actor, reason=reason, code=REFUSED)
        self._return_to_pool(decided, unclaimed_move(claim, expired=False), RewardState.REJECTED)
        return decided

    def expire(self, claim: Claim, *, actor: str) -> Claim:
        """Expire a claim: the prize goes back to the pool."""
        decided = self._decide(claim, ClaimState.EXPIRED, actor=actor, reason=UNCLAIMED, code=UNCLAIMED)
        self._return_to_pool(decided, unclaimed_move(claim, expired=True), RewardState.EXPIRED)
        return decided

    def hold(self, claim: Claim, *, actor: str, deadline: datetime, findings: tuple[Finding, ...]) -> Claim:
        """Hold a claim until a person decides or the deadline passes. The prize stays claimable."""
        state = step(edges=CLAIM_EDGES, was=claim.state, to=ClaimState.HELD)
        held = replace(
            claim,
            state=state,
            deadline=deadline,
            claimed_at=self._uow.now,
            findings=findings,
            version=claim.version + 1,
        )
        self._keep(claim, held, actor=actor, code=UNDER_REVIEW)
        return held

    async def save(self, *, ports: ClaimPorts) -> int:
        """Post and store the decisions, and publish events. Returns the number of credits that debts were recovered from."""
        uow = self._uow
        await self._credit(ports)
        self.paid = await count_paid(self._credited, ports=ports)
        lost = {
            moved.claim.reward_id: None for moved in self._moved if moved.state is not RewardState.CREDITED
        }
        await give_back(lost, campaign=self.campaign, ports=ports)
        self._emit_rewards()
        if lost:
            self.campaign, low = check_level(self.campaign)
            if low is not None:
                uow.events.append(low)
            await ports.campaigns.save([self.campaign])
        await uow.recover_debts()
        if self._moved:
            rewards = [self._rewards[moved.claim.reward_id] for moved in self._moved]
            concerned = {reward.round_id for reward in rewards}
            await ports.rounds.save([self._rounds[key] for key in sorted(concerned)], rewards, now=uow.now)
        if self._changed:
            await ports.claims.save([self.claims[key] for key in sorted(self._changed)])
        await uow.save()
        return uow.recoveries

    async def _credit(self, ports: ClaimPorts) -> None:
        """Book the credits of approved claims, with their parties. Persons who set facts of a player over HTTP are read
        last, so that they include everyone whose facts a claim was judged by.
        """
        sources = {player_source(one.claim.player) for one in self._approved}
        fact_reporters = await ports.parties.of_sources(sources) if sources else {}
        for one in self._approved:
            credited_by = prize_parties(
                self._rounds[one.claim.round_id].settlement,
                self.campaign,
                released_by=one.released_by,
                fact_reporters=fact_reporters.get(player_source(one.claim.player), ()),
            )
            self._move(one.claim, one.move, RewardState.CREDITED, credited_by=credited_by)

    def _decide(
        self, claim: Claim, to: ClaimState, *, actor: str, reason: str | None, code: str | None = None
    ) -> Claim:
        state = step(edges=CLAIM_EDGES, was=claim.state, to=to)
        claimed_at = None if to is ClaimState.EXPIRED else claim.claimed_at or self._uow.now
        decided = replace(
            claim,
            state=state,
            claimed_at=claimed_at,
            decided_at=self._uow.now,
            decided_by=actor,
            reason=reason,
            version=claim.version + 1,
        )
        self._keep(claim, decided, actor=actor, code=code)
        return decided

    def _keep(self, was: Claim, claim: Claim, *, actor: str, code: str | None) -> None:
        self.claims[claim.reward_id] = claim
        self._changed.add(claim.reward_id)
        self._uow.transitions.append(
            Transition(
                "claim",
                claim.reward_id,
                was=was.state,
                to=claim.state,
                cause=f"claim/{actor}",
                correlation_id=claim.correlation_id,
            )
        )
        self._uow.events.append(ClaimMoved(claim=claim, actor=actor, code=code))

    def _move(
        self, claim: Claim, move: Move, to: RewardState, *, credited_by: CreditParties = NO_PARTIES
    ) -> str:
        """Book the move of a claim's prize. Returns its cause. The cause begins with the round's id, like the causes of all
        moves of rounds. The claim's version makes it unique where a prize is given more than once.
        """
        cause = f"round/{claim.round_id}/claim/{claim.reward_id}/{claim.version}"
        booking = Booking([move], cause=cause, correlation_id=claim.correlation_id, credited_by=credited_by)
        self._uow.bookings.append(booking)
        [transfer_id] = [transfer.id for transfer in booking.transfers]
        reward = self._rewards[claim.reward_id]
        state = step(edges=REWARD_EDGES, was=reward.state, to=to)
        if state is RewardState.CREDITED:
            self._credited.append(
                prize_credit(reward, was=reward.state, asset=claim.asset, amount=move.amount)
            )
        self._rewards[claim.reward_id] = reward._replace(state=state, transfer_id=transfer_id)
        self._moved.append(_Moved(claim, state))
        return cause

    def _return_to_pool(self, claim: Claim, move: Move, to: RewardState) -> None:
        """Move a prize back to the pool. Its round no longer waits for the missing amount of the prize."""
        cause = self._move(claim, move, to)
        campaign = self.campaign
        self.campaign = replace(
            campaign, available=campaign.available + move.amount, granted=campaign.granted - move.amount
        )
        reward = self._rewards[claim.reward_id]
        self._rewards[claim.reward_id] = reward._replace(short=0)
        round_ = self._rounds[claim.round_id]
        if not reward.short or round_.queue_position is None:
            return
        # While a correction works on a large round, ``short`` is the sum before the correction: its end recomputes it.
        short = max(0, round_.short - reward.short)
        if short:
            self._rounds[claim.round_id] = replace(round_, short=short)
        else:
            self._rounds[claim.round_id] = replace(round_, short=0, queue_position=None)
            self._leave_queue(cause=cause)

    def _leave_queue(self, *, cause: str) -> None:
        """Take a round out of the campaign's queue. An exhausted campaign with an empty queue becomes active again."""
        campaign = replace(self.campaign, queued=self.campaign.queued - 1)
        if campaign.state is CampaignState.EXHAUSTED and not campaign.queued:
            state = step(edges=CAMPAIGN_EDGES, was=campaign.state, to=CampaignState.ACTIVE)
            self._uow.transitions.append(
                Transition(
                    "campaign",
                    campaign.id,
                    was=campaign.state,
                    to=state,
                    cause=cause,
                    correlation_id=str(campaign.id),
                )
            )
            campaign = replace(campaign, state=state, version=campaign.version + 1)
            self._uow.events.append(CampaignChanged(campaign=campaign, actor=SYSTEM, created=False))
        self.campaign = campaign

    def _emit_rewards(self) -> None:
        """Add the events about the prizes: one for each part of a round and kind."""
        groups: defaultdict[tuple[UUID, int, RewardEventKind], list[Reward]] = defaultdict(list)
        for moved in self._moved:
            reward = self._rewards[moved.claim.reward_id]
            groups[reward.round_id, reward.line.part, _KIND_OF[moved.state]].append(reward)
        for (round_id, part, kind), rewards in sorted(groups.items()):
            round_ = self._rounds[round_id]
            round_ = self._rounds[round_id] = replace(round_, version=round_.version + 1)
            rewards.sort(key=lambda reward: reward.line.line)
            self._uow.events.append(
                RewardsMoved(
                    settlement=round_.settlement,
                    part=part,
                    rewards=rewards,
                    what=kind,
                    version=round_.version,
                )
            )
