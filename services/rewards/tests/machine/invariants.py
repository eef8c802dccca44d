"""Invariants after each step: the ledger follows the model and is sound, and so are claims, entries and top-ups."""

from uuid import UUID

from hypothesis.stateful import invariant

from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.records import PLATFORM, RECEIVABLES, WORLD
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.storage import Ports
from services.rewards.tests.machine.base import ASSET, Walk
from services.rewards.tests.machine.claims import reward_of
from services.rewards.tests.machine.entries import entry_of
from services.rewards.tests.machine.holdings import PEOPLE
from services.rewards.tests.machine.payouts import OTHER, RAIL
from services.rewards.tests.machine.prizes import LIVE

ESCROWS = {Kind.ESCROW_TOPUP: Kind.TOPUP, Kind.ESCROW_WINNINGS: Kind.WINNINGS}


class Invariants(Walk):
    """The invariants. The service's own checks run at the end of a walk."""

    def shared_accounts(self) -> dict[Account, int]:
        """Accounts that all walks share, with the changes of this walk."""
        holdings = self.holdings
        owed = sum(debt.open for debt in holdings.debts.values())
        return {
            Account(Kind.EXTERNAL_IN, WORLD, ASSET): -holdings.funded - holdings.paid_in,
            Account(Kind.EXTERNAL_OUT, WORLD, ASSET): holdings.outside,
            Account(Kind.TREASURY, RAIL, ASSET): holdings.paid_out,
            Account(Kind.TREASURY, RAIL, OTHER): holdings.paid_out_in_other,
            Account(Kind.ENTRY_FEES, PLATFORM, ASSET): self.entry_fees.earned,
            Account(Kind.FEES, PLATFORM, ASSET): self.prizes.fees,
            Account(Kind.CLEARING, RECEIVABLES, ASSET): owed + holdings.given_up,
            Account(Kind.WRITE_OFF, PLATFORM, ASSET): -holdings.given_up,
        }

    def own_accounts(self) -> dict[Account, int]:
        """Accounts of this walk alone."""
        holdings, held = self.holdings, {}
        for campaign in self.campaigns:
            held[Account(Kind.POOL, str(campaign.id), ASSET)] = campaign.pool
            held[Account(Kind.CLAIMABLE, str(campaign.id), ASSET)] = campaign.claimable
        for person in PEOPLE:
            name = self.name(person)
            held[Account(Kind.WINNINGS, name, ASSET)] = holdings.winnings[person]
            held[Account(Kind.PENDING, name, ASSET)] = holdings.pending[person]
            held[Account(Kind.TOPUP, name, ASSET)] = holdings.topup[person]
            held[Account(Kind.RECEIVABLE, name, ASSET)] = -holdings.owed(person)
        for payout, (_, amount) in holdings.open.items():
            quoted = holdings.quoted.get(payout)
            held[Account(Kind.PAYOUT_PENDING, str(payout), ASSET)] = amount if quoted is None else 0
            held[Account(Kind.PAYOUT_PENDING, str(payout), OTHER)] = 0 if quoted is None else quoted
        for payout, (debited, paid) in holdings.exchanges.items():
            held[Account(Kind.FX, str(payout), ASSET)] = debited
            held[Account(Kind.FX, str(payout), OTHER)] = paid
        for round_id, round_ in self.prizes.rounds.items():
            held[Account(Kind.RESERVED, str(round_id), ASSET)] = round_.reserve
        for key, entry in self.entry_fees.entries.items():
            owner = str(entry_of(self, key))
            held[Account(Kind.ESCROW_TOPUP, owner, ASSET)] = entry.topup
            held[Account(Kind.ESCROW_WINNINGS, owner, ASSET)] = entry.winnings
        return held

    @invariant()
    def balances_follow_the_model(self) -> None:
        """Every balance is the model's."""
        own, shared_accounts = self.own_accounts(), self.shared_accounts()
        found = self.backend.balances([*own, *shared_accounts])
        expected = [*own.values(), *(self.before[key] + amount for key, amount in shared_accounts.items())]
        differing = {
            account: (is_, should)
            for account, is_, should in zip([*own, *shared_accounts], found, expected, strict=True)
            if is_ != should
        }
        assert differing == {}, f"the ledger has the first, the model the second of {differing}"

    @invariant()
    def money_is_conserved(self) -> None:
        """The model's accounts sum to zero in each asset, and no wallet, pool, reserve or escrow is below zero."""
        own, shared_accounts = self.own_accounts(), self.shared_accounts()
        for asset in (ASSET, OTHER):
            assert sum(held for key, held in {**own, **shared_accounts}.items() if key.asset == asset) == 0
        unbounded = (Kind.RECEIVABLE, Kind.FX)
        below = [key for key, held in own.items() if held < 0 and key.kind not in unbounded]
        assert below == []

    @invariant()
    def books_are_sound(self) -> None:
        """The ledger sums to zero, and no account exceeds its bound."""
        assert self.backend.unsound(ASSET) == []
        assert self.backend.unsound(OTHER) == []

    @invariant()
    def claims_follow_the_model(self) -> None:
        """Each claim has the model's state, open and held ones also its deadline and amount; the claimable sums match."""
        known = {reward_of(self, key): key for key in self.prizes.claims}
        if not known:
            return
        found = self.backend.run(lambda ports: ports.claims.lock(list(known)))
        should = {key: self.prizes.claims[of].state for key, of in known.items()}
        assert {key: one.state.value for key, one in found.items()} == should
        waiting = dict.fromkeys([campaign.id for campaign in self.campaigns], 0)
        for key, (round_id, person) in known.items():
            claim = self.prizes.claims[round_id, person]
            if claim.state in LIVE:
                amount = self.prizes.rounds[round_id].got[person]
                assert (found[key].deadline, found[key].amount) == (claim.deadline, amount)
                waiting[found[key].campaign] += amount
        assert waiting == {campaign.id: campaign.claimable for campaign in self.campaigns}

    @invariant()
    def entries_follow_the_model(self) -> None:
        """Each entry has the model's state and exists once."""
        known = {entry_of(self, key): entry for key, entry in self.entry_fees.entries.items()}
        if not known:
            return
        found = self.backend.run(lambda ports: ports.entries.lock(list(known)))
        should = {key: entry.state for key, entry in known.items()}
        assert {key: one.state.value for key, one in found.items()} == should

    @invariant()
    def topups_follow_the_model(self) -> None:
        """Each top-up was credited once, and no more was reversed than credited."""
        known = self.topups.sessions
        if not known:
            return
        found = self.backend.run(lambda ports: ports.topups.lock(list(known)))
        should = {key: (one.credited, one.reversed) for key, one in known.items()}
        assert {key: (one.credited, one.reversed) for key, one in found.items()} == should
        assert all(0 <= back <= credited for credited, back in should.values())

    @invariant()
    def cancels_are_requested(self) -> None:
        """The cancellation of exactly those open payouts is requested that hold money which a correction takes back."""
        if self.holdings.open:
            requested = self.backend.run(self._cancel_requested)
            assert requested == {
                payout for payout in self.holdings.open if payout in self.holdings.cancel_requested
            }

    async def _cancel_requested(self, ports: Ports) -> set[UUID]:
        names = [self.name(person) for person in PEOPLE]
        found = await ports.payouts.lock_open(names, asset=ASSET)
        return {payout.id for payout in found if payout.state is PayoutState.CANCEL_REQUESTED}

    def teardown(self) -> None:
        """No entry fee went to a pool or a prize, and the service's own checks find nothing."""
        for debit, credit in self.backend.transfer_kinds():
            if debit in ESCROWS:
                assert credit in (ESCROWS[Kind(debit)], Kind.ENTRY_FEES)
            assert debit != Kind.ENTRY_FEES
        assert self.backend.breaches() == []
