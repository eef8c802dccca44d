"""The model's money: what campaigns, people and payouts have, and what people owe. It knows nothing of accounts."""

from dataclasses import dataclass, field
from uuid import UUID

PEOPLE = ("ann", "bob", "cat", "dan")


def _nobody_has() -> dict[str, int]:
    return dict.fromkeys(PEOPLE, 0)


@dataclass
class Cup:
    """A campaign: its pool, the rounds that wait for it in order, and what waits to be claimed where it must be.
    ``made_up`` is what people were made to owe it without a correction.
    """

    id: UUID
    claims: bool
    pool: int = 0
    claimable: int = 0
    made_up: int = 0
    queue: list[UUID] = field(default_factory=list)


@dataclass
class Owed:
    """A debt: to the pool of ``cup``, or of a top-up. ``given_up`` is what nobody will pay of it."""

    person: str
    open: int
    cup: UUID | None
    given_up: int = 0


@dataclass
class Purses:
    """What everybody has. ``funded`` came into pools, ``brought`` into top-ups; ``outside`` left for good otherwise
    than by payouts, of which ``paid_out`` is the sum; ``given_up`` are debts that nobody pays.
    """

    cups: dict[UUID, Cup] = field(default_factory=dict)
    winnings: dict[str, int] = field(default_factory=_nobody_has)
    pending: dict[str, int] = field(default_factory=_nobody_has)
    topup: dict[str, int] = field(default_factory=_nobody_has)
    debts: dict[UUID, Owed] = field(default_factory=dict)
    open: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    asked: set[UUID] = field(default_factory=set)
    paid: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    funded: int = 0
    brought: int = 0
    outside: int = 0
    paid_out: int = 0
    given_up: int = 0

    def credit(self, person: str, amount: int) -> None:
        """Into winnings, after debts, the oldest first."""
        self.winnings[person] += self._after_debts(person, amount, all_debts=True)

    def credit_topup(self, person: str, amount: int) -> None:
        """Into top-ups, after debts of top-ups, the oldest first."""
        self.topup[person] += self._after_debts(person, amount, all_debts=False)

    def _after_debts(self, person: str, amount: int, *, all_debts: bool) -> int:
        for debt in self.debts.values():
            if debt.person != person or not (all_debts or debt.cup is None):
                continue
            taken = min(debt.open, amount)
            debt.open -= taken
            amount -= taken
            if debt.cup is None:
                self.outside += taken
            else:
                self.cups[debt.cup].pool += taken
        return amount

    def undo(self, debt: Owed, amount: int) -> int:
        """The reason of a debt is gone by ``amount``: what is owed goes first, then what was given up is no loss any
        more; answers how much of it was never paid.
        """
        lifted = min(amount, debt.open)
        debt.open -= lifted
        restored = min(amount - lifted, debt.given_up)
        debt.given_up -= restored
        self.given_up -= restored
        return lifted + restored

    def owed(self, person: str) -> int:
        """What somebody owes in all."""
        return sum(debt.open for debt in self.debts.values() if debt.person == person)

    def want_back(self, person: str, amount: int) -> None:
        """Payouts that hold the money are asked to stop, the latest first, until it would be covered."""
        covered = 0
        for payout, (of, held) in reversed(self.open.items()):
            if of != person:
                continue
            if covered >= amount:
                break
            covered += held
            self.asked.add(payout)
