"""Random sequences of one player's top-ups and entries, in memory, compared with a few sums."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prizewire_contracts import ids
from prizewire_rewards.entries.domain import EnterRound, EntryEnd, EntryRound, EntryState, OpenEntry
from prizewire_rewards.entries.handlers.ending import close_entries
from prizewire_rewards.entries.handlers.entering import enter, load_snapshot
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.handlers import Booking, UnitOfWork
from prizewire_rewards.payouts.domain.commands import RecordMethod, SetWithdrawal
from prizewire_rewards.payouts.domain.model import Method
from prizewire_rewards.payouts.handlers.outcomes import apply_payout_events
from prizewire_rewards.payouts.handlers.withdrawals import set_withdrawal, withdraw_next
from prizewire_rewards.storage import Ports
from prizewire_rewards.topups.domain import CreditTopup, ReversalKind, ReverseTopup, WinDispute
from prizewire_rewards.topups.handlers import apply_topup_events, lock_intakes
from services.rewards.tests.fakes import FakeClosures, FakeDigest, FakeSigner, MemoryStore
from services.rewards.tests.rig import ASSETS, START, make_tools

TOOLS = replace(make_tools(), signer=FakeSigner(), closures=FakeClosures(), digest=FakeDigest())
TOPUP = Account(Kind.TOPUP, "ann", "USDC")
WINNINGS = Account(Kind.WINNINGS, "ann", "USDC")


class PlayerModel:
    """The store and the sums of one player."""

    def __init__(self) -> None:
        self.store = MemoryStore(ASSETS)
        self.session = uuid4()

    def run(self, ports: Callable[[Ports], Awaitable[Any]]) -> Any:
        return asyncio.run(_in(self.store, ports))

    def held(self, account: Account) -> int:
        return self.store.ledger.balance(account)

    def topup(self, *commands: CreditTopup | ReverseTopup | WinDispute) -> Any:
        async def call(ports: Ports) -> Any:
            intake = await lock_intakes(commands, ports=ports)
            return await apply_topup_events(commands, intake=intake, ports=ports, tools=TOOLS, now=START)

        return self.run(call)

    def credit(self, amount: int) -> Any:
        return self.topup(CreditTopup(**self._said(amount, "pay"), correlation_id=str(self.session)))

    def reverse(self, kind: ReversalKind, reference: str, amount: int) -> Any:
        return self.topup(ReverseTopup(**self._said(amount, reference), kind=kind))

    def win(self, reference: str, amount: int) -> Any:
        return self.topup(WinDispute(**self._said(amount, reference)))

    def _said(self, amount: int, reference: str) -> dict[str, Any]:
        return {
            "topup_id": self.session,
            "player": "ann",
            "asset": "USDC",
            "amount": amount,
            "rail": "stripe",
            "reference": reference,
            "cause": uuid4().hex,
        }

    def grant(self, amount: int) -> None:
        """Credit winnings without a source."""
        world = Account(Kind.EXTERNAL_IN, "world", "USDC")
        move = Move(TransferType.OPENING_BALANCE, world, WINNINGS, amount)

        async def post(ports: Ports) -> None:
            uow = UnitOfWork(ports, now=START)
            uow.bookings.append(Booking([move], cause=uuid4().hex, correlation_id="grant"))
            await uow.post()

        self.run(post)

    def enter(self, fee: int) -> UUID:
        """Request one entry into a new round. Returns the round."""
        round_ = EntryRound(round_id=uuid4(), asset="USDC", fee=fee, correlation_id="round")
        command = EnterRound(
            entry_id=ids.entry_id(round_id=round_.round_id, player="ann"),
            round=round_,
            player="ann",
            asset="USDC",
            amount=fee,
            cause="event",
        )

        async def ports(ports: Ports) -> None:
            commands = [OpenEntry(round=round_), command]
            snapshot = await load_snapshot(commands, ending=[], ports=ports)
            await enter(commands, snapshot=snapshot, ports=ports, now=START)

        self.run(ports)
        return round_.round_id

    def end(self, round_id: UUID, how: EntryEnd) -> None:
        self.run(lambda ports: close_entries({round_id: how}, ports=ports, tools=TOOLS, now=START))


async def _in(store: MemoryStore, ports: Callable[[Ports], Awaitable[Any]]) -> Any:
    return await ports(store.ports())


amounts = st.integers(1, 300)
steps = st.one_of(
    st.tuples(st.just("refund"), st.sampled_from(["re_1", "re_2"]), amounts),
    st.tuples(st.just("dispute"), st.sampled_from(["dp_1", "dp_2"]), amounts),
    st.tuples(st.just("win"), st.sampled_from(["dp_1", "dp_2", "re_1"]), amounts),
    st.tuples(st.just("enter"), st.just(""), amounts),
    st.tuples(st.just("grant"), st.just(""), amounts),
    st.tuples(st.sampled_from(["earn", "void"]), st.just(""), amounts),
)


@settings(max_examples=150)
@given(credited=amounts, story=st.lists(steps, max_size=12))
def test_no_sequence_loses_or_makes_money(credited: int, story: list[tuple[str, str, int]]) -> None:
    """In every order: no more is reversed than credited, no bucket is below zero, a won dispute returns exactly what it
    took, and no unit is lost.
    """
    model = PlayerModel()
    model.credit(credited)
    rounds: list[UUID] = []
    granted = 0
    for what, reference, amount in story:
        if what == "refund":
            model.reverse(ReversalKind.REFUND, reference, amount)
        elif what == "dispute":
            model.reverse(ReversalKind.DISPUTE, reference, amount)
        elif what == "win":
            model.win(reference, amount)
        elif what == "enter":
            rounds.append(model.enter(amount))
        elif what == "grant":
            granted += amount
            model.grant(amount)
        elif rounds:
            model.end(rounds.pop(), EntryEnd.EARNED if what == "earn" else EntryEnd.REFUNDED)
        [topup] = model.store.topups.values()
        reversals = model.store.reversals.values()
        assert 0 <= topup.reversed <= topup.credited == credited
        assert topup.reversed == sum(one.booked - one.restored for one in reversals)
        assert all(one.restored <= one.booked <= one.asked for one in reversals)
        escrowed = sum(
            entry.amount for entry in model.store.entries.values() if entry.state is EntryState.PAID
        )
        earned = model.held(Account(Kind.ENTRY_FEES, "platform", "USDC"))
        debts = model.store.receivables.values()
        owed = sum(one.open for one in debts)
        assert owed + sum(one.recovered for one in debts) == sum(one.owed - one.lifted for one in reversals)
        mine = model.held(TOPUP) + model.held(WINNINGS) + escrowed + earned - owed
        assert mine == credited - topup.reversed + granted, "every unit is somewhere"


@pytest.mark.parametrize(("fee", "split"), [(30, (30, 0)), (50, (50, 0)), (70, (50, 20)), (71, None)])
def test_top_ups_pay_before_winnings(fee: int, split: tuple[int, int] | None) -> None:
    """Top-ups pay to the last unit, then winnings; nothing moves where both together do not cover the fee."""
    model = PlayerModel()
    model.credit(50)
    model.grant(20)
    model.enter(fee)
    [entry] = model.store.entries.values()
    paid = entry.state is EntryState.PAID
    assert ((entry.from_topup, entry.from_winnings) if paid else None) == split
    assert model.held(TOPUP) + model.held(WINNINGS) == 70 - (fee if paid else 0)


def test_a_failing_threshold_is_tried_once_a_day() -> None:
    """Without a method nothing is requested; with a method the whole balance is, and the withdrawal waits for the next
    threshold.
    """
    model = PlayerModel()
    model.grant(200)
    withdrawal = SetWithdrawal(
        player="ann", asset="USDC", threshold=150, schedule=None, hour_utc=0, minimum=0, method_id=None
    )
    model.run(lambda ports: set_withdrawal(withdrawal, ports=ports, tools=TOOLS, now=START))

    def due(days: int) -> str | None:
        now = START + timedelta(days=days)
        tried = model.run(lambda ports: withdraw_next(ports=ports, tools=TOOLS, now=now))
        return "nothing" if tried is None else tried.code

    assert [due(0), due(0)] == ["no_payout_method", "nothing"]
    method = Method(
        id=uuid4(),
        version=1,
        player="ann",
        type="fake",
        rail_types=("fake",),
        active=True,
        verified=True,
        is_default=True,
        address=None,
        memo=None,
        commitment="c",
    )
    recorded = [RecordMethod(method=method, cause="event")]
    model.run(lambda ports: apply_payout_events(recorded, ports=ports, tools=TOOLS, now=START))
    assert [due(1), due(1)] == [None, "nothing"]
    [payout] = model.store.payouts.values()
    assert (payout.amount, payout.filed_by) == (200, "rewards:auto_withdraw")
    assert model.held(WINNINGS) == 0
