"""The model's entry fees and top-ups: what people paid in, spent on rounds, and what went back."""

from dataclasses import dataclass, field
from uuid import UUID

from services.rewards.tests.machine.purses import Owed, Purses


@dataclass
class Gate:
    """A round that people enter for a fee: whether rewards has ``heard`` of the fee, whether people may still enter by
    themselves, and how it was ``over``: ``earned`` or ``refunded``.
    """

    fee: int
    heard: bool = False
    open: bool = True
    over: str | None = None


@dataclass
class Fee:
    """Somebody's entry, with what each bucket paid as long as it lies in escrow."""

    state: str
    topup: int = 0
    winnings: int = 0


@dataclass
class Fees:
    """All entries, over what everybody has; ``earned`` is revenue."""

    purses: Purses
    gates: dict[UUID, Gate] = field(default_factory=dict)
    entries: dict[tuple[UUID, str], Fee] = field(default_factory=dict)
    earned: int = 0

    def covers(self, person: str, fee: int) -> bool:
        """Whether somebody has a fee in both buckets together."""
        return self.purses.topup[person] + self.purses.winnings[person] >= fee

    def enter(self, key: tuple[UUID, str]) -> str:
        """Somebody enters: paid, top-ups first, or refused; answers which. Once paid it stays."""
        gate, person = self.gates[key[0]], key[1]
        known = self.entries.get(key)
        if known is not None and known.state != "refused":
            return known.state
        if gate.over is not None:
            self.entries[key] = Fee("refused")
            return "refused"
        gate.heard = True
        if not self.covers(person, gate.fee):
            self.entries[key] = Fee("refused")
            return "refused"
        first = min(self.purses.topup[person], gate.fee)
        self.purses.topup[person] -= first
        self.purses.winnings[person] -= gate.fee - first
        self.entries[key] = Fee("paid", first, gate.fee - first)
        return "paid"

    def end(self, round_id: UUID, how: str) -> None:
        """A round is final, or does not count: its fees are earned, or go back to where they came from. Once only."""
        gate = self.gates[round_id]
        if gate.over is not None:
            return
        gate.over = how
        for (of, person), entry in self.entries.items():
            if of != round_id or entry.state != "paid":
                continue
            if how == "earned":
                self.earned += entry.topup + entry.winnings
            else:
                self.purses.credit_topup(person, entry.topup)
                self.purses.credit(person, entry.winnings)
            entry.state, entry.topup, entry.winnings = how, 0, 0


@dataclass
class Back:
    """A refund or dispute: what the provider named, what the wallet had of it, and the debt over the rest."""

    dispute: bool
    asked: int
    taken: int
    owed: int
    debt: UUID
    won: bool = False


@dataclass
class Session:
    """A top-up."""

    person: str
    credited: int
    reversed: int = 0
    backs: dict[str, Back] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """What can still go back."""
        return self.credited - self.reversed


@dataclass
class Topups:
    """All top-ups, over what everybody has."""

    purses: Purses
    sessions: dict[UUID, Session] = field(default_factory=dict)

    def credit(self, topup: UUID, person: str, amount: int) -> None:
        """Money is paid in."""
        self.sessions[topup] = Session(person, amount)
        self.purses.brought += amount
        self.purses.credit_topup(person, amount)

    def reverse(self, topup: UUID, reference: str, *, dispute: bool, asked: int, debt: UUID) -> None:
        """It goes back, never more than came; what is not there any more is owed."""
        session = self.sessions[topup]
        amount = min(asked, session.left)
        taken = min(amount, self.purses.topup[session.person])
        session.reversed += amount
        self.purses.topup[session.person] -= taken
        self.purses.outside += taken
        if taken < amount:
            self.purses.debts[debt] = Owed(session.person, amount - taken, None)
        session.backs[reference] = Back(dispute, asked, taken, amount - taken, debt)

    def win(self, topup: UUID, reference: str, amount: int) -> None:
        """A dispute was won: what was never paid of its debt is undone, and the rest comes back."""
        session = self.sessions[topup]
        back = session.backs[reference]
        if back.won:
            return
        back.won = True
        restored = min(amount, back.taken + back.owed)
        session.reversed -= restored
        if back.owed:
            restored -= self.purses.undo(self.purses.debts[back.debt], restored)
        self.purses.brought += restored
        self.purses.credit_topup(session.person, restored)
