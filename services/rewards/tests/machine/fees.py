"""The model's entry fees and top-ups."""

from dataclasses import dataclass, field
from uuid import UUID

from services.rewards.tests.machine.holdings import DebtModel, Holdings


@dataclass
class EntryRoundModel:
    """A round with an entry fee. ``fee_known``: rewards knows the fee. ``open``: players may enter over HTTP. ``ended``
    is None, ``earned`` or ``refunded``.
    """

    fee: int
    fee_known: bool = False
    open: bool = True
    ended: str | None = None


@dataclass
class EntryModel:
    """A person's entry, with the amount that each bucket paid while it is in escrow."""

    state: str
    topup: int = 0
    winnings: int = 0


@dataclass
class EntryFees:
    """All entries, over the people's holdings; ``earned`` is revenue."""

    holdings: Holdings
    entry_rounds: dict[UUID, EntryRoundModel] = field(default_factory=dict)
    entries: dict[tuple[UUID, str], EntryModel] = field(default_factory=dict)
    earned: int = 0

    def covers(self, person: str, fee: int) -> bool:
        """Whether both buckets of a person together cover a fee."""
        return self.holdings.topup[person] + self.holdings.winnings[person] >= fee

    def enter(self, key: tuple[UUID, str]) -> str:
        """Enter a person. Returns the state of the entry: paid, top-ups first, or refused. A paid entry stays paid."""
        entry_round, person = self.entry_rounds[key[0]], key[1]
        known = self.entries.get(key)
        if known is not None and known.state != "refused":
            return known.state
        if entry_round.ended is not None:
            self.entries[key] = EntryModel("refused")
            return "refused"
        entry_round.fee_known = True
        if not self.covers(person, entry_round.fee):
            self.entries[key] = EntryModel("refused")
            return "refused"
        first = min(self.holdings.topup[person], entry_round.fee)
        self.holdings.topup[person] -= first
        self.holdings.winnings[person] -= entry_round.fee - first
        self.entries[key] = EntryModel("paid", first, entry_round.fee - first)
        return "paid"

    def end(self, round_id: UUID, how: str) -> None:
        """End a round once: its fees are earned, or refunded to the buckets that paid them."""
        entry_round = self.entry_rounds[round_id]
        if entry_round.ended is not None:
            return
        entry_round.ended = how
        for (of, person), entry in self.entries.items():
            if of != round_id or entry.state != "paid":
                continue
            if how == "earned":
                self.earned += entry.topup + entry.winnings
            else:
                self.holdings.credit_topup(person, entry.topup)
                self.holdings.credit(person, entry.winnings)
            entry.state, entry.topup, entry.winnings = how, 0, 0


@dataclass
class ReversalModel:
    """A refund or dispute: the amount that the provider named, the amount taken from the wallet, and the debt of the
    rest.
    """

    dispute: bool
    named: int
    taken: int
    owed: int
    debt: UUID
    won: bool = False


@dataclass
class TopupModel:
    """A top-up."""

    person: str
    credited: int
    reversed: int = 0
    reversals: dict[str, ReversalModel] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """The amount that can still be reversed."""
        return self.credited - self.reversed


@dataclass
class Topups:
    """All top-ups, over the people's holdings."""

    holdings: Holdings
    sessions: dict[UUID, TopupModel] = field(default_factory=dict)

    def credit(self, topup: UUID, person: str, amount: int) -> None:
        """Credit a top-up."""
        self.sessions[topup] = TopupModel(person, amount)
        self.holdings.paid_in += amount
        self.holdings.credit_topup(person, amount)

    def reverse(self, topup: UUID, reference: str, *, dispute: bool, named: int, debt: UUID) -> None:
        """Reverse a top-up, at most its credited amount. What the wallet no longer has is owed."""
        session = self.sessions[topup]
        amount = min(named, session.left)
        taken = min(amount, self.holdings.topup[session.person])
        session.reversed += amount
        self.holdings.topup[session.person] -= taken
        self.holdings.outside += taken
        if taken < amount:
            self.holdings.debts[debt] = DebtModel(session.person, amount - taken, None)
        session.reversals[reference] = ReversalModel(dispute, named, taken, amount - taken, debt)

    def win(self, topup: UUID, reference: str, amount: int) -> None:
        """Win a dispute: the unpaid part of its debt is undone first, and the rest is credited."""
        session = self.sessions[topup]
        back = session.reversals[reference]
        if back.won:
            return
        back.won = True
        restored = min(amount, back.taken + back.owed)
        session.reversed -= restored
        if back.owed:
            restored -= self.holdings.undo(self.holdings.debts[back.debt], restored)
        self.holdings.paid_in += restored
        self.holdings.credit_topup(session.person, restored)
