"""The model's rounds: who should have what of them, who waits because a pool did not reach, and what must be claimed."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from prizewire_rewards.prizes.domain.model import Settlement
from services.rewards.tests.machine.purses import PEOPLE, Cup, Owed, Purses

LIVE = ("open", "held")


@dataclass
class Game:
    """A round: what each player should have of it, and what they got (debts counted as got). ``queued`` while it waits
    whole; ``credited`` are those whose prize reached their wallet, ``gone`` those who lost it for good because it was
    not claimed or was refused.
    """

    head: Settlement
    lines: dict[str, int]
    got: dict[str, int] = field(default_factory=dict)
    queued: bool = False
    voided: bool = False
    owed: dict[str, list[UUID]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    credited: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    def missing(self, person: str) -> int:
        """What somebody still waits for, once the round was booked."""
        return 0 if person in self.gone else self.lines.get(person, 0) - self.got.get(person, 0)

    @property
    def short(self) -> int:
        """What its players still wait for, once it was booked."""
        return sum(self.missing(person) for person in self.lines)

    @property
    def wanted(self) -> int:
        """What the pool must hold for it to go on."""
        return self.head.gross if self.queued else self.short

    @property
    def reserve(self) -> int:
        """What it keeps for itself: the fee, until it is final."""
        return 0 if self.queued or self.voided or self.head.final else self.head.platform_fee


@dataclass
class Asked:
    """A claim: what became of it, and until when something must."""

    state: str
    deadline: datetime


@dataclass(frozen=True)
class House:
    """The rules of claims: how long they stay open and under review, from which amount on a person looks at them, who
    is refused at once, and whether nobody's decision lets a prize go.
    """

    opens: timedelta
    reviews: timedelta
    looks_from: int | None
    refused: str | None
    lets_go: bool


@dataclass
class Prizes:
    """All rounds, over what everybody has. ``fees`` are those of rounds that are final."""

    purses: Purses
    house: House
    games: dict[UUID, Game] = field(default_factory=dict)
    claims: dict[tuple[UUID, str], Asked] = field(default_factory=dict)
    fees: int = 0

    def cup(self, game: Game) -> Cup:
        """The campaign of a round."""
        return self.purses.cups[game.head.campaign]

    def begin(self, game: Game) -> bool:
        """A new round takes its money, or waits; answers whether there was enough."""
        cup = self.cup(game)
        self.games[game.head.round_id] = game
        if cup.queue or cup.pool < game.head.gross:
            game.queued = True
            cup.queue.append(game.head.round_id)
            return False
        self._reserve(game)
        return True

    def _reserve(self, game: Game) -> None:
        game.queued = False
        self.cup(game).pool -= game.head.gross - game.head.unclaimed

    def book(self, game: Game, *, now: datetime) -> None:
        """Give what was taken from the pool for a round."""
        self._pay(game, budget=sum(game.lines.values()), now=now)
        if game.head.final:
            self.fees += game.head.platform_fee

    def _pay(self, game: Game, *, budget: int, now: datetime) -> int:
        """Give in the order of lines what is missing, each whole, until one does not fit; answers what is left."""
        for person in game.order:
            missing = game.missing(person)
            if missing > budget:
                break
            if missing:
                budget -= missing
                self._give(game, person, missing, now=now)
        return budget

    def _give(self, game: Game, person: str, amount: int, *, now: datetime) -> None:
        game.got[person] = game.got.get(person, 0) + amount
        if game.head.final:
            self._hand_out(game, person, amount, now=now)
        else:
            self.purses.pending[person] += amount

    def _hand_out(self, game: Game, person: str, amount: int, *, now: datetime) -> None:
        """To the wallet, or to be claimed; what comes on top goes the way that the prize went before."""
        if not self.cup(game).claims or person in game.credited:
            game.credited.add(person)
            self.purses.credit(person, amount)
            return
        self.cup(game).claimable += amount
        key = (game.head.round_id, person)
        if key not in self.claims or self.claims[key].state not in LIVE:
            self.claims[key] = Asked("open", now + self.house.opens)

    def finalize(self, game: Game, *, now: datetime) -> None:
        """What is pending becomes payable."""
        game.head = replace(game.head, final=True)
        if game.queued:
            return
        for person in game.order:
            got = game.got.get(person, 0)
            if got:
                self.purses.pending[person] -= got
                self._hand_out(game, person, got, now=now)
        self.fees += game.head.platform_fee

    def void(self, game: Game) -> None:
        """Everything is as if it had never been."""
        cup, key = self.cup(game), game.head.round_id
        game.voided = True
        if key in cup.queue:
            cup.queue.remove(key)
        if not game.queued:
            cup.pool += game.head.platform_fee + sum(game.got.values())
        for person, amount in game.got.items():
            self.purses.pending[person] -= amount
        game.got, game.lines, game.queued = {}, {}, False

    def correct(
        self,
        game: Game,
        head: Settlement,
        won: dict[str, int],
        *,
        debt_of: Callable[[str], UUID],
        now: datetime,
    ) -> None:
        """The differences move: first what is too much is taken, then what is missing given."""
        cup, key = self.cup(game), head.round_id
        game.head, game.lines, game.order = head, dict(won), list(won)
        if game.queued:
            return
        back = 0
        for person in PEOPLE:
            less = game.got.get(person, 0) - won.get(person, 0)
            if less > 0:
                back += self._take(game, person, less, debt_of=debt_of)
            if person not in won:
                game.credited.discard(person)
        for person in game.order:
            for debt in map(self.purses.debts.__getitem__, game.owed.get(person, [])):
                lifted = self.purses.undo(debt, game.missing(person))
                game.got[person] = game.got.get(person, 0) + lifted
                if lifted:
                    game.credited.add(person)
        needed = game.short
        alone = cup.queue in ([], [key])
        budget = min(needed, back + cup.pool) if alone else min(needed, back)
        cup.pool += back - budget
        # A debt that a payment nets comes back to the pool too late for this correction.
        rest = self._pay(game, budget=budget, now=now)
        cup.pool += rest
        self._place(game)

    def _take(self, game: Game, person: str, less: int, *, debt_of: Callable[[str], UUID]) -> int:
        """Take back what somebody got too much; answers what there was."""
        purses = self.purses
        game.got[person] -= less
        if not game.head.final:
            purses.pending[person] -= less
            return less
        if self.cup(game).claims and person not in game.credited:
            self.cup(game).claimable -= less
            if person not in game.lines:
                self.claims[game.head.round_id, person].state = "rejected"
            return less
        there = min(purses.winnings[person], less)
        purses.winnings[person] -= there
        if there < less:
            debt = debt_of(person)
            purses.debts[debt] = Owed(person, less - there, game.head.campaign)
            game.owed.setdefault(person, []).append(debt)
            purses.want_back(person, less - there)
        return there

    def _place(self, game: Game) -> None:
        """A booked round waits as long as somebody is short."""
        queue, key = self.cup(game).queue, game.head.round_id
        if game.short and key not in queue:
            queue.append(key)
        if not game.short and key in queue:
            queue.remove(key)

    def release(self, *, now: datetime) -> None:
        """Pay who waits, in the order of each campaign, as far as the pools reach. What one pays may bring another
        campaign's pool what it is owed.
        """
        while ready := [cup for cup in self.purses.cups.values() if self._reaches(cup)]:
            game = self.games[ready[0].queue.pop(0)]
            if game.queued:
                self._reserve(game)
                self.book(game, now=now)
            else:
                short = game.short
                ready[0].pool -= short
                assert self._pay(game, budget=short, now=now) == 0

    def _reaches(self, cup: Cup) -> bool:
        return bool(cup.queue) and cup.pool >= self.games[cup.queue[0]].wanted

    def claim(self, key: tuple[UUID, str], *, now: datetime) -> None:
        """Somebody claims what is theirs: it is credited, looked at by a person, or refused."""
        game, person, claim = self.games[key[0]], key[1], self.claims[key]
        if person == self.house.refused:
            self.lose(key, "rejected")
        elif self.house.looks_from is not None and game.got[person] >= self.house.looks_from:
            claim.state, claim.deadline = "held", now + self.house.reviews
        else:
            self.approve(key)

    def approve(self, key: tuple[UUID, str]) -> None:
        """What could be claimed is in the wallet."""
        game, person = self.games[key[0]], key[1]
        self.claims[key].state = "approved"
        game.credited.add(person)
        self.cup(game).claimable -= game.got[person]
        self.purses.credit(person, game.got[person])

    def lose(self, key: tuple[UUID, str], state: str) -> None:
        """What could be claimed goes back to the pool for good; what was still missing of it, nobody waits for."""
        game, person = self.games[key[0]], key[1]
        self.claims[key].state = state
        back = game.got.pop(person)
        self.cup(game).claimable -= back
        self.cup(game).pool += back
        game.gone.add(person)
        self._place(game)

    def end_claims(self, *, now: datetime) -> dict[str, int]:
        """Deadlines that have passed; answers how many claims came to each state."""
        ended: dict[str, int] = {}
        for key, claim in self.claims.items():
            if claim.state not in LIVE or claim.deadline > now:
                continue
            if claim.state == "open":
                self.lose(key, "expired")
            elif self.house.lets_go:
                self.approve(key)
            else:
                self.lose(key, "rejected")
            ended[claim.state] = ended.get(claim.state, 0) + 1
        return ended
