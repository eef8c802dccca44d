"""What holds after every step: the ledger is the model, sound in itself, and so are claims, entries and top-ups."""

from uuid import UUID

from hypothesis.stateful import invariant

from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.moves import PLATFORM, RECEIVABLES, WORLD
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.storage import Ports
from services.rewards.tests.machine.base import ASSET, Walk
from services.rewards.tests.machine.claims import reward_of
from services.rewards.tests.machine.entries import entry_of
from services.rewards.tests.machine.payouts import RAIL
from services.rewards.tests.machine.prizes import LIVE
from services.rewards.tests.machine.purses import PEOPLE

ESCROWS = {Kind.ESCROW_TOPUP: Kind.TOPUP, Kind.ESCROW_WINNINGS: Kind.WINNINGS}


class Invariants(Walk):
    """Asked after every step; what the implementation checks by itself, at the end."""

    def common(self) -> dict[Account, int]:
        """Accounts that all walks share, with what this one did to them."""
        purses = self.purses
        owed = sum(debt.open for debt in purses.debts.values())
        return {
            Account(Kind.EXTERNAL_IN, WORLD, ASSET): -purses.funded - purses.brought,
            Account(Kind.EXTERNAL_OUT, WORLD, ASSET): purses.outside,
            Account(Kind.TREASURY, RAIL, ASSET): purses.paid_out,
            Account(Kind.ENTRY_FEES, PLATFORM, ASSET): self.fees.earned,
            Account(Kind.FEES, PLATFORM, ASSET): self.prizes.fees,
            Account(Kind.CLEARING, RECEIVABLES, ASSET): owed + purses.given_up,
            Account(Kind.WRITE_OFF, PLATFORM, ASSET): -purses.given_up,
        }

    def own(self) -> dict[Account, int]:
        """Accounts of this walk alone."""
        purses, held = self.purses, {}
        for cup in self.cups:
            held[Account(Kind.POOL, str(cup.id), ASSET)] = cup.pool
            held[Account(Kind.CLAIMABLE, str(cup.id), ASSET)] = cup.claimable
        for person in PEOPLE:
            name = self.name(person)
            held[Account(Kind.WINNINGS, name, ASSET)] = purses.winnings[person]
            held[Account(Kind.PENDING, name, ASSET)] = purses.pending[person]
            held[Account(Kind.TOPUP, name, ASSET)] = purses.topup[person]
            held[Account(Kind.RECEIVABLE, name, ASSET)] = -purses.owed(person)
        for payout, (_, amount) in purses.open.items():
            held[Account(Kind.PAYOUT_PENDING, str(payout), ASSET)] = amount
        for round_id, game in self.prizes.games.items():
            held[Account(Kind.RESERVED, str(round_id), ASSET)] = game.reserve
        for key, entry in self.fees.entries.items():
            owner = str(entry_of(self, key))
            held[Account(Kind.ESCROW_TOPUP, owner, ASSET)] = entry.topup
            held[Account(Kind.ESCROW_WINNINGS, owner, ASSET)] = entry.winnings
        return held

    @invariant()
    def everybody_has_what_they_should(self) -> None:
        """Every balance is the model's."""
        own, common = self.own(), self.common()
        found = self.stage.balances([*own, *common])
        expected = [*own.values(), *(self.before[key] + amount for key, amount in common.items())]
        differing = {
            account: (is_, should)
            for account, is_, should in zip([*own, *common], found, expected, strict=True)
            if is_ != should
        }
        assert differing == {}, f"the ledger has the first, the model the second of {differing}"

    @invariant()
    def money_is_conserved(self) -> None:
        """The model's accounts sum to zero, and nobody's purse, pool, reserve or escrow is below it."""
        own, common = self.own(), self.common()
        assert sum(own.values()) + sum(common.values()) == 0
        below = [key for key, held in own.items() if held < 0 and key.kind is not Kind.RECEIVABLE]
        assert below == []

    @invariant()
    def books_are_sound(self) -> None:
        """The ledger sums to zero, and no account is beyond its bound."""
        assert self.stage.unsound(ASSET) == []

    @invariant()
    def claims_stand_where_they_should(self) -> None:
        """Each claim has the model's state, while it lives its deadline and amount; what can be claimed adds up."""
        known = {reward_of(self, key): key for key in self.prizes.claims}
        if not known:
            return
        found = self.stage.run(lambda ports: ports.claims.lock(list(known)))
        should = {key: self.prizes.claims[of].state for key, of in known.items()}
        assert {key: one.state.value for key, one in found.items()} == should
        waiting = dict.fromkeys([cup.id for cup in self.cups], 0)
        for key, (round_id, person) in known.items():
            claim = self.prizes.claims[round_id, person]
            if claim.state in LIVE:
                amount = self.prizes.games[round_id].got[person]
                assert (found[key].deadline, found[key].amount) == (claim.deadline, amount)
                waiting[found[key].campaign] += amount
        assert waiting == {cup.id: cup.claimable for cup in self.cups}

    @invariant()
    def entries_stand_where_they_should(self) -> None:
        """Each entry has the model's state, and is known once."""
        known = {entry_of(self, key): entry for key, entry in self.fees.entries.items()}
        if not known:
            return
        found = self.stage.run(lambda ports: ports.entries.lock(list(known)))
        should = {key: entry.state for key, entry in known.items()}
        assert {key: one.state.value for key, one in found.items()} == should

    @invariant()
    def topups_add_up(self) -> None:
        """Never more went back than came; each was credited what it was credited once."""
        known = self.topups.sessions
        if not known:
            return
        found = self.stage.run(lambda ports: ports.topups.lock(list(known)))
        should = {key: (one.credited, one.reversed) for key, one in known.items()}
        assert {key: (one.credited, one.reversed) for key, one in found.items()} == should
        assert all(0 <= back <= credited for credited, back in should.values())

    @invariant()
    def cancels_are_asked_for(self) -> None:
        """Of the open payouts those are asked to stop that hold what a correction wants back."""
        if self.purses.open:
            asked = self.stage.run(self._asked)
            assert asked == {payout for payout in self.purses.open if payout in self.purses.asked}

    async def _asked(self, ports: Ports) -> set[UUID]:
        names = [self.name(person) for person in PEOPLE]
        found = await ports.payouts.lock_open(names, asset=ASSET)
        return {payout.id for payout in found if payout.state is PayoutState.CANCEL_REQUESTED}

    def teardown(self) -> None:
        """Entry fees never went to a pool or a prize, and the implementation's own checks find nothing."""
        for debit, credit in self.stage.ways():
            if debit in ESCROWS:
                assert credit in (ESCROWS[Kind(debit)], Kind.ENTRY_FEES)
            assert debit != Kind.ENTRY_FEES
        assert self.stage.breaches() == []
