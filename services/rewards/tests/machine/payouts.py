"""Players ask for their winnings, rails pay, fail and give back; debts arise and are given up."""

from dataclasses import replace
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from prizewire_rewards.payouts.domain.commands import ClosePayout, MarkPaid, MarkReturned, RequestPayout
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.payouts.handlers.outcomes import apply_payout_events
from prizewire_rewards.payouts.handlers.requests import request_payout
from services.rewards.tests.debts import open_receivable
from services.rewards.tests.machine.base import ASSET, GRANTED, NOBODY, Walk
from services.rewards.tests.machine.purses import PEOPLE, Cup, Owed

RAIL = "s"
DEBTS_MAX = 80
"""More are not made up: they would swallow all that is won."""


class PayoutRules(Walk):
    """What leaves, comes back, and is owed."""

    def rich(self) -> list[str]:
        """Those who have winnings and a method to be paid by."""
        return [person for person in PEOPLE if person != NOBODY and self.purses.winnings[person]]

    @precondition(lambda self: self.rich())
    @rule(data=st.data())
    def request(self, data: st.DataObject) -> None:
        """A player wants money; without enough of it nothing moves."""
        now = self.tick()
        person = data.draw(st.sampled_from(self.rich()))
        amount = data.draw(st.integers(1, self.purses.winnings[person] + 10))
        command = RequestPayout(
            id=uuid4(), player=self.name(person), asset=ASSET, amount=amount, method_id=None
        )
        enough = self.purses.winnings[person] >= amount
        _, code = self.ask(lambda ports: request_payout(command, ports=ports, tools=self.tools, now=now))
        assert code == (None if enough else "insufficient_balance")
        if not enough:
            return
        self.purses.winnings[person] -= amount
        self.purses.open[command.id] = (person, amount)

    @precondition(lambda self: self.purses.open)
    @rule(data=st.data(), proven=st.booleans(), pays=st.booleans())
    def end(self, data: st.DataObject, proven: bool, pays: bool) -> None:
        """A payout is paid, or ends without effect, with a tombstone that is good or not."""
        now = self.tick()
        payout, (person, amount) = data.draw(st.sampled_from(list(self.purses.open.items())))
        if proven:
            self.closures.known.add(("tombstone", payout))
        command: MarkPaid | ClosePayout
        if pays:
            command = MarkPaid(
                payout_id=payout, player=self.name(person), asset=ASSET, amount=amount, rail=RAIL,
                rail_type="stellar", fee_asset="XLM", fee=0, outcome={}, cause="p",
            )  # fmt: skip
        else:
            command = ClosePayout(
                payout_id=payout, to=PayoutState.FAILED, code="x", reason=None, closure="tombstone", cause="p"
            )
        done = self.run(lambda ports: apply_payout_events([command], ports=ports, tools=self.tools, now=now))
        if pays:
            self.purses.paid[payout] = self.purses.open.pop(payout)
            self.purses.paid_out += amount
        elif proven:
            del self.purses.open[payout]
            self.purses.credit(person, amount)
        else:
            assert [refused.code for refused in done.refusals.values()] == ["closure_invalid"]
            return
        assert done.refusals == {}
        self.settled_up()

    @precondition(lambda self: self.purses.paid)
    @rule(data=st.data(), less=st.integers(0, 50))
    def give_back(self, data: st.DataObject, less: int) -> None:
        """A rail returns what it paid, or most of it, and only once; told again it has no effect."""
        now = self.tick()
        payout, (person, amount) = data.draw(st.sampled_from(list(self.purses.paid.items())))
        back = max(1, amount - less)
        command = MarkReturned(payout_id=payout, asset=ASSET, amount=back, return_ref="r", cause="r")
        events = [command, command, replace(command, return_ref="other")]
        done = self.run(lambda ports: apply_payout_events(events, ports=ports, tools=self.tools, now=now))
        assert {at: refused.code for at, refused in done.refusals.items()} == {2: "event_mismatch"}
        del self.purses.paid[payout]
        self.purses.paid_out -= back
        self.purses.credit(person, back)
        self.settled_up()

    def owable(self) -> list[Cup | None]:
        """To whom debts are made up: no campaign is owed more than what it granted."""
        if sum(debt.open for debt in self.purses.debts.values()) >= DEBTS_MAX:
            return []
        return [None, *(cup for cup in self.cups if cup.made_up < GRANTED)]

    @precondition(lambda self: self.owable())
    @rule(data=st.data(), person=st.sampled_from(PEOPLE), amount=st.integers(1, 50))
    def owe(self, data: st.DataObject, person: str, amount: int) -> None:
        """A debt arises, to a campaign or for something that has none."""
        now = self.tick()
        cup = data.draw(st.sampled_from(self.owable()))
        if cup is not None:
            amount = min(amount, GRANTED - cup.made_up)
            cup.made_up += amount
        campaign = None if cup is None else cup.id
        opened = self.run(
            lambda ports: open_receivable(
                player=self.name(person), asset=ASSET, amount=amount, campaign=campaign, cause=uuid4().hex,
                reference="test", correlation_id="test", ports=ports, now=now,
            )
        )  # fmt: skip
        self.purses.debts[opened.id] = Owed(person, amount, campaign)

    @precondition(lambda self: any(debt.open for debt in self.purses.debts.values()))
    @rule(data=st.data())
    def write_off(self, data: st.DataObject) -> None:
        """An approver gives up what is owed."""
        self.give_up(
            data.draw(st.sampled_from([key for key, debt in self.purses.debts.items() if debt.open]))
        )
