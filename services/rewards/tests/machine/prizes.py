"""The model's rounds: expected prizes, rounds that wait for their pool, and claims."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from prizewire_rewards.prizes.domain.model import Settlement
from services.rewards.tests.machine.holdings import PEOPLE, CampaignModel, DebtModel, Holdings

LIVE = ("open", "held")


@dataclass
class RoundModel:
    """A round: the amount that each player should have, and the amount that they got (with debts). ``queued`` while the
    whole round waits. ``credited`` are players whose prize is in their wallet, ``lost`` those whose prize expired or
    was refused.
    """

    head: Settlement
    lines: dict[str, int]
    got: dict[str, int] = field(default_factory=dict)
    queued: bool = False
    voided: bool = False
    owed: dict[str, list[UUID]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    credited: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)

    def missing(self, person: str) -> int:
        """The amount that a person waits for after the round was booked."""
        return 0 if person in self.lost else self.lines.get(person, 0) - self.got.get(person, 0)

    @property
    def short(self) -> int:
        """The amount that all its players wait for after it was booked."""
        return sum(self.missing(person) for person in self.lines)

    @property
    def wanted(self) -> int:
        """The amount that the pool must hold before the round is booked further."""
        return self.head.gross if self.queued else self.short

    @property
    def reserve(self) -> int:
        """The amount in its reserve: the fee, until the round is final."""
        return 0 if self.queued or self.voided or self.head.final else self.head.platform_fee


@dataclass
class ClaimModel:
    """A claim: its state and its deadline."""

    state: str
    deadline: datetime


@dataclass(frozen=True)
class ClaimTerms:
    """The settings of claims: how long they are open and under review, the amount from which a person reviews them, the
    player who is always refused, and whether a held claim is released at its deadline.
    """

    open_for: timedelta
    review_for: timedelta
    review_from: int | None
    refused: str | None
    released_at_deadline: bool


@dataclass
class Prizes:
    """All rounds and claims, over the people's holdings. ``fees`` are those of final rounds."""

    holdings: Holdings
    terms: ClaimTerms
    rounds: dict[UUID, RoundModel] = field(default_factory=dict)
    claims: dict[tuple[UUID, str], ClaimModel] = field(default_factory=dict)
    fees: int = 0

    def campaign(self, round_: RoundModel) -> CampaignModel:
        """The campaign of a round."""
        return self.holdings.campaigns[round_.head.campaign]

    def begin(self, round_: RoundModel) -> bool:
        """Reserve the money of a new round, or queue the round. Returns whether its pool covered it."""
        campaign = self.campaign(round_)
        self.rounds[round_.head.round_id] = round_
        if campaign.queue or campaign.pool < round_.head.gross:
            round_.queued = True
            campaign.queue.append(round_.head.round_id)
            return False
        self._reserve(round_)
        return True

    def _reserve(self, round_: RoundModel) -> None:
        round_.queued = False
        self.campaign(round_).pool -= round_.head.gross - round_.head.unclaimed

    def book(self, round_: RoundModel, *, now: datetime) -> None:
        """Pay the lines of a round whose money is reserved."""
        self._pay(round_, budget=sum(round_.lines.values()), now=now)
        if round_.head.final:
            self.fees += round_.head.platform_fee

    def _pay(self, round_: RoundModel, *, budget: int, now: datetime) -> int:
        """Pay missing amounts in the order of lines, each completely, until one exceeds the rest. Returns the rest."""
        for person in round_.order:
            missing = round_.missing(person)
            if missing > budget:
                break
            if missing:
                budget -= missing
                self._give(round_, person, missing, now=now)
        return budget

    def _give(self, round_: RoundModel, person: str, amount: int, *, now: datetime) -> None:
        round_.got[person] = round_.got.get(person, 0) + amount
        if round_.head.final:
            self._deliver(round_, person, amount, now=now)
        else:
            self.holdings.pending[person] += amount

    def _deliver(self, round_: RoundModel, person: str, amount: int, *, now: datetime) -> None:
        """Credit a prize, or make it claimable. Later amounts of a credited prize are credited too."""
        if not self.campaign(round_).claims or person in round_.credited:
            round_.credited.add(person)
            self.holdings.credit(person, amount)
            return
        self.campaign(round_).claimable += amount
        key = (round_.head.round_id, person)
        if key not in self.claims or self.claims[key].state not in LIVE:
            self.claims[key] = ClaimModel("open", now + self.terms.open_for)

    def finalize(self, round_: RoundModel, *, now: datetime) -> None:
        """Make pending prizes payable."""
        round_.head = replace(round_.head, final=True)
        if round_.queued:
            return
        for person in round_.order:
            got = round_.got.get(person, 0)
            if got:
                self.holdings.pending[person] -= got
                self._deliver(round_, person, got, now=now)
        self.fees += round_.head.platform_fee

    def void(self, round_: RoundModel) -> None:
        """Void a round: all its money goes back."""
        campaign, key = self.campaign(round_), round_.head.round_id
        round_.voided = True
        if key in campaign.queue:
            campaign.queue.remove(key)
        if not round_.queued:
            campaign.pool += round_.head.platform_fee + sum(round_.got.values())
        for person, amount in round_.got.items():
            self.holdings.pending[person] -= amount
        round_.got, round_.lines, round_.queued = {}, {}, False

    def correct(
        self,
        round_: RoundModel,
        head: Settlement,
        won: dict[str, int],
        *,
        debt_of: Callable[[str], UUID],
        now: datetime,
    ) -> None:
        """Correct a round: take excess amounts back first, then pay missing amounts."""
        campaign, key = self.campaign(round_), head.round_id
        round_.head, round_.lines, round_.order = head, dict(won), list(won)
        if round_.queued:
            return
        back = 0
        for person in PEOPLE:
            less = round_.got.get(person, 0) - won.get(person, 0)
            if less > 0:
                back += self._take(round_, person, less, debt_of=debt_of)
            if person not in won:
                round_.credited.discard(person)
        for person in round_.order:
            for debt in map(self.holdings.debts.__getitem__, round_.owed.get(person, [])):
                lifted = self.holdings.undo(debt, round_.missing(person))
                round_.got[person] = round_.got.get(person, 0) + lifted
                if lifted:
                    round_.credited.add(person)
        needed = round_.short
        alone = campaign.queue in ([], [key])
        budget = min(needed, back + campaign.pool) if alone else min(needed, back)
        campaign.pool += back - budget
        # A payment that recovers a debt brings its money to the pool too late for this correction.
        rest = self._pay(round_, budget=budget, now=now)
        campaign.pool += rest
        self._update_queue(round_)

    def _take(self, round_: RoundModel, person: str, less: int, *, debt_of: Callable[[str], UUID]) -> int:
        """Take an excess amount back from a person. Returns the amount that could be taken."""
        holdings = self.holdings
        round_.got[person] -= less
        if not round_.head.final:
            holdings.pending[person] -= less
            return less
        if self.campaign(round_).claims and person not in round_.credited:
            self.campaign(round_).claimable -= less
            if person not in round_.lines:
                self.claims[round_.head.round_id, person].state = "rejected"
            return less
        there = min(holdings.winnings[person], less)
        holdings.winnings[person] -= there
        if there < less:
            debt = debt_of(person)
            holdings.debts[debt] = DebtModel(person, less - there, round_.head.campaign)
            round_.owed.setdefault(person, []).append(debt)
            holdings.request_cancels(person, less - there)
        return there

    def _update_queue(self, round_: RoundModel) -> None:
        """Queue a booked round while a player is short; otherwise take it out of the queue."""
        queue, key = self.campaign(round_).queue, round_.head.round_id
        if round_.short and key not in queue:
            queue.append(key)
        if not round_.short and key in queue:
            queue.remove(key)

    def release(self, *, now: datetime) -> None:
        """Book waiting rounds, in the order of each campaign, as far as the pools cover them. A payment may recover a
        debt to the pool of another campaign.
        """
        while ready := [
            campaign for campaign in self.holdings.campaigns.values() if self._covers_next(campaign)
        ]:
            round_ = self.rounds[ready[0].queue.pop(0)]
            if round_.queued:
                self._reserve(round_)
                self.book(round_, now=now)
            else:
                short = round_.short
                ready[0].pool -= short
                assert self._pay(round_, budget=short, now=now) == 0

    def _covers_next(self, campaign: CampaignModel) -> bool:
        return bool(campaign.queue) and campaign.pool >= self.rounds[campaign.queue[0]].wanted

    def claim(self, key: tuple[UUID, str], *, now: datetime) -> None:
        """Claim a prize: it is credited, held for a person, or refused."""
        round_, person, claim = self.rounds[key[0]], key[1], self.claims[key]
        if person == self.terms.refused:
            self.return_to_pool(key, "rejected")
        elif self.terms.review_from is not None and round_.got[person] >= self.terms.review_from:
            claim.state, claim.deadline = "held", now + self.terms.review_for
        else:
            self.approve(key)

    def approve(self, key: tuple[UUID, str]) -> None:
        """Credit a claimable prize."""
        round_, person = self.rounds[key[0]], key[1]
        self.claims[key].state = "approved"
        round_.credited.add(person)
        self.campaign(round_).claimable -= round_.got[person]
        self.holdings.credit(person, round_.got[person])

    def return_to_pool(self, key: tuple[UUID, str], state: str) -> None:
        """Return a claimable prize to the pool permanently. The round no longer waits for its missing amount."""
        round_, person = self.rounds[key[0]], key[1]
        self.claims[key].state = state
        back = round_.got.pop(person)
        self.campaign(round_).claimable -= back
        self.campaign(round_).pool += back
        round_.lost.add(person)
        self._update_queue(round_)

    def end_claims(self, *, now: datetime) -> dict[str, int]:
        """End claims whose deadline has passed. Returns the number of claims by new state."""
        ended: dict[str, int] = {}
        for key, claim in self.claims.items():
            if claim.state not in LIVE or claim.deadline > now:
                continue
            if claim.state == "open":
                self.return_to_pool(key, "expired")
            elif self.terms.released_at_deadline:
                self.approve(key)
            else:
                self.return_to_pool(key, "rejected")
            ended[claim.state] = ended.get(claim.state, 0) + 1
        return ended
