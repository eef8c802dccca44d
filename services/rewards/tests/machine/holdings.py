"""The model's money: holdings of campaigns, people and payouts, and debts. The model has no accounts."""

from dataclasses import dataclass, field
from uuid import UUID

PEOPLE = ("ann", "bob", "cat", "dan")


def _zero_balances() -> dict[str, int]:
    return dict.fromkeys(PEOPLE, 0)


@dataclass
class CampaignModel:
    """A campaign: its pool, the queue of waiting rounds, and the sum of prizes to be claimed. ``artificial_debt`` is
    the sum of debts to it that no correction opened.
    """

    id: UUID
    claims: bool
    pool: int = 0
    claimable: int = 0
    artificial_debt: int = 0
    queue: list[UUID] = field(default_factory=list)


@dataclass
class DebtModel:
    """A debt: to the pool of ``campaign``, or of a top-up. ``given_up`` is the written-off part."""

    person: str
    open: int
    campaign: UUID | None
    given_up: int = 0


@dataclass
class Holdings:
    """All holdings. ``funded`` came into pools, ``paid_in`` into top-ups. ``paid_out`` left by payouts, ``outside`` in
    other ways. ``quoted`` is what a payout pays in the other asset, ``exchanges`` what its exchange holds in the two
    assets, ``paid_out_in_other`` what left in the other one. ``given_up`` is the sum of written-off debts.
    """

    campaigns: dict[UUID, CampaignModel] = field(default_factory=dict)
    winnings: dict[str, int] = field(default_factory=_zero_balances)
    pending: dict[str, int] = field(default_factory=_zero_balances)
    topup: dict[str, int] = field(default_factory=_zero_balances)
    debts: dict[UUID, DebtModel] = field(default_factory=dict)
    open: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    cancel_requested: set[UUID] = field(default_factory=set)
    paid: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    quoted: dict[UUID, int] = field(default_factory=dict)
    exchanges: dict[UUID, tuple[int, int]] = field(default_factory=dict)
    funded: int = 0
    paid_in: int = 0
    outside: int = 0
    paid_out: int = 0
    paid_out_in_other: int = 0
    given_up: int = 0

    def credit(self, person: str, amount: int) -> None:
        """Credit winnings, after all debts, the oldest first."""
        self.winnings[person] += self._after_debts(person, amount, all_debts=True)

    def credit_topup(self, person: str, amount: int) -> None:
        """Credit top-ups, after debts of top-ups, the oldest first."""
        self.topup[person] += self._after_debts(person, amount, all_debts=False)

    def _after_debts(self, person: str, amount: int, *, all_debts: bool) -> int:
        for debt in self.debts.values():
            if debt.person != person or not (all_debts or debt.campaign is None):
                continue
            taken = min(debt.open, amount)
            debt.open -= taken
            amount -= taken
            if debt.campaign is None:
                self.outside += taken
            else:
                self.campaigns[debt.campaign].pool += taken
        return amount

    def undo(self, debt: DebtModel, amount: int) -> int:
        """Undo ``amount`` of a debt: first what is still owed, then what was written off. Returns the undone amount,
        which was never paid.
        """
        lifted = min(amount, debt.open)
        debt.open -= lifted
        restored = min(amount - lifted, debt.given_up)
        debt.given_up -= restored
        self.given_up -= restored
        return lifted + restored

    def owed(self, person: str) -> int:
        """The sum of a person's open debts."""
        return sum(debt.open for debt in self.debts.values() if debt.person == person)

    def request_cancels(self, person: str, amount: int) -> None:
        """Request the cancellation of payouts, the latest first, until their sum covers the amount."""
        covered = 0
        for payout, (of, held) in reversed(self.open.items()):
            if of != person:
                continue
            if covered >= amount:
                break
            covered += held
            self.cancel_requested.add(payout)
