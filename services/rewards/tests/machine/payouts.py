"""Rules of payouts and debts: request, pay, fail, return, open debts and write them off."""

from dataclasses import asdict, replace
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from prizewire_chassis.testing import make_key
from prizewire_contracts.quotes import QUOTE_VERSION, PayoutQuote
from prizewire_rewards.payouts.domain.commands import ClosePayout, MarkPaid, MarkReturned, RequestPayout
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.payouts.domain.quotes import SignedQuote
from prizewire_rewards.payouts.handlers.outcomes import apply_payout_events
from prizewire_rewards.payouts.handlers.requests import request_payout
from services.rewards.tests.debts import ARTIFICIAL, open_receivable
from services.rewards.tests.machine.base import ASSET, GRANTED, REFUSED_PLAYER, UNSIGNED_PLAYER, Walk, rail_of
from services.rewards.tests.machine.holdings import PEOPLE, CampaignModel, DebtModel
from services.rewards.tests.rig import ASSETS, NETWORK

RAIL = "s"
OTHER = "EURC"
"""The asset that quoted payouts pay in."""
RATE_MAX = 2
"""The highest rate that the payout rules of these tests allow."""
KEY = make_key("payouts")
DEBTS_MAX = 80
"""The limit of artificial debts. More would absorb all winnings."""


class PayoutRules(Walk):
    """Payouts, returns and debts."""

    def able_to_request(self) -> list[str]:
        """People with winnings and a payout method."""
        return [person for person in PEOPLE if person != REFUSED_PLAYER and self.holdings.winnings[person]]

    @precondition(lambda self: self.able_to_request())
    @rule(data=st.data())
    def request(self, data: st.DataObject) -> None:
        """Request a payout. Without enough winnings it is refused and nothing moves."""
        now = self.tick()
        person = data.draw(st.sampled_from(self.able_to_request()))
        amount = data.draw(st.integers(1, self.holdings.winnings[person] + 10))
        pay = data.draw(st.none() | st.integers(1, RATE_MAX * amount))
        command = RequestPayout(
            id=uuid4(), player=self.name(person), asset=ASSET, amount=amount, method_id=None,
            quote=None if pay is None else self.quote(person, amount=amount, pay=pay),
        )  # fmt: skip
        enough = self.holdings.winnings[person] >= amount
        _, code = self.attempt(lambda ports: request_payout(command, ports=ports, tools=self.tools, now=now))
        assert code == (None if enough else "insufficient_balance")
        if not enough:
            return
        self.holdings.winnings[person] -= amount
        self.holdings.open[command.id] = (person, amount)
        if pay is not None:
            self.holdings.quoted[command.id] = pay
            self.holdings.exchanges[command.id] = (amount, -pay)

    def quote(self, person: str, *, amount: int, pay: int) -> SignedQuote:
        """A quote of payouts for this payout, which is valid for an hour."""
        now = int(self.now.timestamp())
        quote = PayoutQuote(
            v=QUOTE_VERSION, network=NETWORK, quote_id=str(uuid4()), player=self.name(person),
            method_id=str(self.methods[person]), rail=RAIL, rail_type=rail_of(person), debit_asset=ASSET,
            debit_amount=ASSETS[ASSET].render(amount), pay_asset=OTHER, pay_amount=ASSETS[OTHER].render(pay), rate="1",
            fee_asset=OTHER, fee_amount=ASSETS[OTHER].render(0), fee_borne_by="platform", issued_at=now,
            expires_at=now + 3600, key_id=KEY.keyid,
        )  # fmt: skip
        return SignedQuote(fields=asdict(quote), signature=KEY.sign(quote.signing_bytes()))

    @precondition(lambda self: self.holdings.open)
    @rule(data=st.data(), proven=st.booleans(), pays=st.booleans())
    def end(self, data: st.DataObject, proven: bool, pays: bool) -> None:
        """Pay a payout, or close it without effect, with an authentic or a forged closure."""
        now = self.tick()
        payout, (person, amount) = data.draw(st.sampled_from(list(self.holdings.open.items())))
        if proven:
            self.closures.known.add(("tombstone", payout))
        command: MarkPaid | ClosePayout
        if pays:
            pay = self.holdings.quoted.get(payout)
            command = MarkPaid(
                payout_id=payout, player=self.name(person), asset=ASSET if pay is None else OTHER,
                amount=amount if pay is None else pay, rail=RAIL,
                rail_type=rail_of(person), fee_asset="XLM", fee=0, outcome={}, cause="p",
            )  # fmt: skip
        else:
            command = ClosePayout(
                payout_id=payout, to=PayoutState.FAILED, code="x", reason=None, closure="tombstone", cause="p"
            )
        done = self.run(lambda ports: apply_payout_events([command], ports=ports, tools=self.tools, now=now))
        if pays:
            self.holdings.paid[payout] = self.holdings.open.pop(payout)
            if pay is None:
                self.holdings.paid_out += amount
            else:
                self.holdings.paid_out_in_other += pay
        elif proven or person == UNSIGNED_PLAYER:
            del self.holdings.open[payout]
            if payout in self.holdings.exchanges:
                self.holdings.exchanges[payout] = (0, 0)
            self.holdings.credit(person, amount)
        else:
            assert [refused.code for refused in done.refusals.values()] == ["closure_invalid"]
            return
        assert done.refusals == {}
        self.run_jobs()

    @precondition(lambda self: self.holdings.paid)
    @rule(data=st.data(), less=st.integers(0, 50))
    def give_back(self, data: st.DataObject, less: int) -> None:
        """Return all or a part of a paid payout. A repetition has no effect, and no payment of the signer comes back."""
        now = self.tick()
        payout, (person, amount) = data.draw(st.sampled_from(list(self.holdings.paid.items())))
        pay = self.holdings.quoted.get(payout)
        back = max(1, (amount if pay is None else pay) - less)
        command = MarkReturned(
            payout_id=payout, asset=ASSET if pay is None else OTHER, amount=back, return_ref="r", cause="r"
        )
        events = [command, command, replace(command, return_ref="other")]
        done = self.run(lambda ports: apply_payout_events(events, ports=ports, tools=self.tools, now=now))
        codes = {at: refused.code for at, refused in done.refusals.items()}
        if person != UNSIGNED_PLAYER:
            assert codes == dict.fromkeys(range(3), "closure_invalid")
            return
        assert codes == {2: "event_mismatch"}
        del self.holdings.paid[payout]
        if pay is None:
            self.holdings.paid_out -= back
        else:
            self.holdings.paid_out_in_other -= back
            back, returned = amount * back // pay, back
            self.holdings.exchanges[payout] = (amount - back, returned - pay)
        self.holdings.credit(person, back)
        self.run_jobs()

    def possible_creditors(self) -> list[CampaignModel | None]:
        """Creditors of artificial debts: a campaign for at most what it granted, or none."""
        if sum(debt.open for debt in self.holdings.debts.values()) >= DEBTS_MAX:
            return []
        return [None, *(campaign for campaign in self.campaigns if campaign.artificial_debt < GRANTED)]

    @precondition(lambda self: self.possible_creditors())
    @rule(data=st.data(), person=st.sampled_from(PEOPLE), amount=st.integers(1, 50))
    def owe(self, data: st.DataObject, person: str, amount: int) -> None:
        """Open a debt, to a campaign or outside."""
        now = self.tick()
        creditor = data.draw(st.sampled_from(self.possible_creditors()))
        if creditor is not None:
            amount = min(amount, GRANTED - creditor.artificial_debt)
            creditor.artificial_debt += amount
        campaign = None if creditor is None else creditor.id
        opened = self.run(
            lambda ports: open_receivable(
                player=self.name(person), asset=ASSET, amount=amount, campaign=campaign, cause=uuid4().hex,
                reference=ARTIFICIAL, correlation_id="test", ports=ports, now=now,
            )
        )  # fmt: skip
        self.holdings.debts[opened.id] = DebtModel(person, amount, campaign)

    @precondition(lambda self: any(debt.open for debt in self.holdings.debts.values()))
    @rule(data=st.data())
    def write_off(self, data: st.DataObject) -> None:
        """Write off a debt, as an approver."""
        self.write_off_debt(
            data.draw(st.sampled_from([key for key, debt in self.holdings.debts.items() if debt.open]))
        )
