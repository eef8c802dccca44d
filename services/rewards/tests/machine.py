"""A random walk through rewards' use cases beside a model of a few lines, on any implementation of the ports.

The model knows nothing of accounts, transfers or batches: it adds and subtracts what people should have.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from prizewire_rewards.domain.commands import (
    ChangeCampaign,
    ClosePayout,
    CreateCampaign,
    FinalizeRound,
    FundCampaign,
    MarkPaid,
    MarkReturned,
    RecordMethod,
    RequestPayout,
    SettleRound,
)
from prizewire_rewards.domain.errors import InsufficientBalance
from prizewire_rewards.domain.ledger import Account, Kind, Move, TransferType
from prizewire_rewards.domain.model import Delivery, Line, Method, Settlement
from prizewire_rewards.domain.states import PayoutState
from prizewire_rewards.handlers.campaigns import (
    change_campaign,
    create_campaign,
    fund_campaign,
    release_next,
)
from prizewire_rewards.handlers.journal import Journal
from prizewire_rewards.handlers.payouts import apply_payout_events, request_payout
from prizewire_rewards.handlers.settlements import apply_settlements
from prizewire_rewards.ports import Tools, Work
from services.rewards.tests.fakes import FakeClosures, FakeDigest, FakeSigner, MemoryStore
from services.rewards.tests.rig import Rig, make_tools

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PEOPLE = ("ann", "bob", "cat", "dan")
ASSET = "USDC"

amounts = st.integers(min_value=1, max_value=400)
shares = st.dictionaries(st.sampled_from(PEOPLE), amounts, max_size=4)


class Stage:
    """Where the walk takes place: runs work in a transaction, and reads balances back."""

    def run(self, work: Callable[[Work], Awaitable[Any]]) -> Any:
        """Run ``work`` and commit."""
        raise AssertionError("to be filled by a subclass")

    def balances(self, accounts: list[Account]) -> list[int]:
        """Balances of accounts."""
        raise AssertionError("to be filled by a subclass")

    def breaches(self) -> list[str]:
        """What checks of its own find."""
        return []


@dataclass
class Waiting:
    """A round of the model that was settled and is not final or not paid."""

    head: Settlement
    lines: tuple[Line, ...]


@dataclass
class Model:
    """What people should have."""

    pool: int = 0
    funded: int = 0
    fees: int = 0
    winnings: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PEOPLE, 0))
    pending: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PEOPLE, 0))
    debts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PEOPLE, 0))
    open: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    paid: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    paid_out: int = 0
    reserved: dict[UUID, Waiting] = field(default_factory=dict)
    queue: list[Waiting] = field(default_factory=list)
    recovered: int = 0
    opened: int = 0

    def credit(self, player: str, amount: int) -> int:
        """Into winnings, after debts; answers what is left of it."""
        taken = min(self.debts[player], amount)
        self.debts[player] -= taken
        self.recovered += taken
        self.winnings[player] += amount - taken
        return amount - taken


class RewardsMachine(RuleBasedStateMachine):
    """Rules over one campaign and four people, whose names are new in every walk."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.closures = FakeClosures()
        self.walk = uuid4().hex[:8]
        self.campaign = uuid4()
        self.tools: Tools = replace(
            make_tools(), signer=FakeSigner(), closures=self.closures, digest=FakeDigest()
        )

    def name(self, person: str) -> str:
        return f"{person}-{self.walk}"

    @initialize(funded=st.integers(min_value=0, max_value=1_000))
    def begin(self, funded: int) -> None:
        """A campaign, and a payout method for everybody but dan."""

        async def make(work: Work) -> None:
            command = CreateCampaign(
                id=self.campaign, name="cup", asset=ASSET, delivery=Delivery.WALLET, actor="admin"
            )
            await create_campaign(command, work=work, tools=self.tools, now=NOW)
            change = ChangeCampaign(campaign=self.campaign, to="active", actor="admin")
            await change_campaign(change, work=work, now=NOW)
            methods = [RecordMethod(method=self._method(person), cause="m") for person in PEOPLE[:3]]
            await apply_payout_events(methods, work=work, tools=self.tools, now=NOW)

        self.stage.run(make)
        if funded:
            self.fund(funded)

    def _method(self, person: str) -> Method:
        return Method(
            id=uuid4(), version=1, player=self.name(person), type="stellar", rail_type="stellar",
            active=True, verified=True, is_default=True, address="G", memo=None, commitment=None,
        )  # fmt: skip

    @rule(amount=amounts)
    def fund(self, amount: int) -> None:
        """Money comes, and what waits is paid in order as far as it reaches."""
        command = FundCampaign(
            id=uuid4(), campaign=self.campaign, amount=amount, reference="x", actor="admin"
        )
        self.stage.run(lambda work: fund_campaign(command, work=work, now=NOW))
        while self.stage.run(lambda work: release_next(work=work, tools=self.tools, now=NOW)) is not None:
            continue
        self.model.pool += amount
        self.model.funded += amount
        while self.model.queue and self.model.pool >= self.model.queue[0].head.gross:
            self._book(self.model.queue.pop(0))

    @rule(
        wins=st.lists(
            st.tuples(shares, st.integers(0, 20), st.integers(0, 20), st.booleans()), min_size=1, max_size=3
        ),
        at_once=st.booleans(),
    )
    def settle(self, wins: list[tuple[dict[str, int], int, int, bool]], at_once: bool) -> None:
        """Some rounds settle in one batch; pending ones may become final in the same."""
        commands: list[SettleRound | FinalizeRound] = []
        for won, fee, unclaimed, final in wins:
            lines = tuple(
                Line(n, self.name(person), n, amount, 1) for n, (person, amount) in enumerate(won.items(), 1)
            )
            net = sum(line.amount for line in lines) + unclaimed
            head = Settlement(
                round_id=uuid4(), match_id="m", match_source="/g", competition="c",
                correlation_id=uuid4().hex, settlement_version=1, rule_version=1, campaign=self.campaign,
                asset=ASSET, gross=net + fee, platform_fee=fee, organizer_fee=0, organizer_player=None,
                net=net, unclaimed=unclaimed, parts=1, lines_total=len(lines),
                digest=self.tools.digest(lines, asset=ASSET), final=final, final_at=NOW,
            )  # fmt: skip
            commands.append(SettleRound(settlement=head, part=1, lines=lines, cause="s"))
            waiting = Waiting(head, lines)
            if self.model.queue or self.model.pool < head.gross:
                self.model.queue.append(waiting)
            else:
                self._book(waiting)
            if at_once and not final:
                finalize = FinalizeRound(round_id=head.round_id, settlement_version=1, cause="f")
                commands.append(finalize)
                self._finalize(head.round_id)
        done = self.stage.run(lambda work: apply_settlements(commands, work=work, tools=self.tools, now=NOW))
        assert done.refusals == {}

    @precondition(lambda self: self.model.reserved or self.model.queue)
    @rule(data=st.data())
    def finalize(self, data: st.DataObject) -> None:
        """A dispute window passes, of a round that is booked or one that waits."""
        heads = [*self.model.reserved.values(), *self.model.queue]
        chosen = data.draw(st.sampled_from(heads)).head.round_id
        command = FinalizeRound(round_id=chosen, settlement_version=1, cause="f")
        done = self.stage.run(lambda work: apply_settlements([command], work=work, tools=self.tools, now=NOW))
        assert done.refusals == {}
        self._finalize(chosen)

    @rule(person=st.sampled_from(PEOPLE[:3]), amount=amounts)
    def request(self, person: str, amount: int) -> None:
        """A player wants money; without enough of it nothing moves."""
        command = RequestPayout(
            id=uuid4(), player=self.name(person), asset=ASSET, amount=amount, method_id=None
        )
        enough = self.model.winnings[person] >= amount
        try:
            self.stage.run(lambda work: request_payout(command, work=work, tools=self.tools, now=NOW))
        except InsufficientBalance:
            assert not enough
            return
        assert enough
        self.model.winnings[person] -= amount
        self.model.open[command.id] = (person, amount)

    @precondition(lambda self: self.model.open)
    @rule(data=st.data(), proven=st.booleans(), pays=st.booleans())
    def end(self, data: st.DataObject, proven: bool, pays: bool) -> None:
        """A payout is paid, or ends without effect, with a tombstone that is good or not."""
        payout, (person, amount) = data.draw(st.sampled_from(sorted(self.model.open.items())))
        if proven:
            self.closures.known.add(("tombstone", payout))
        command: MarkPaid | ClosePayout
        if pays:
            command = MarkPaid(
                payout_id=payout, player=self.name(person), asset=ASSET, amount=amount, rail="s",
                rail_type="stellar", fee_asset="XLM", fee=0, outcome={}, cause="p",
            )  # fmt: skip
        else:
            command = ClosePayout(
                payout_id=payout, to=PayoutState.FAILED, code="x", closure="tombstone", cause="p"
            )
        done = self.stage.run(
            lambda work: apply_payout_events([command], work=work, tools=self.tools, now=NOW)
        )
        if pays:
            self.model.paid[payout] = self.model.open.pop(payout)
            self.model.paid_out += amount
        elif proven:
            del self.model.open[payout]
            self.model.credit(person, amount)
        else:
            assert [refused.code for refused in done.refusals.values()] == ["closure_invalid"]
            return
        assert done.refusals == {}

    @precondition(lambda self: self.model.paid)
    @rule(data=st.data(), less=st.integers(0, 50))
    def give_back(self, data: st.DataObject, less: int) -> None:
        """A rail returns what it paid, or most of it, and only once."""
        payout, (person, amount) = data.draw(st.sampled_from(sorted(self.model.paid.items())))
        back = max(1, amount - less)
        command = MarkReturned(payout_id=payout, asset=ASSET, amount=back, return_ref="r", cause="r")
        done = self.stage.run(
            lambda work: apply_payout_events([command, command], work=work, tools=self.tools, now=NOW)
        )
        assert [refused.code for refused in done.refusals.values()] == ["event_mismatch"]
        del self.model.paid[payout]
        self.model.paid_out -= back
        self.model.credit(person, back)

    @rule(person=st.sampled_from(PEOPLE), amount=st.integers(1, 50))
    def owe(self, person: str, amount: int) -> None:
        """A debt arises."""
        journal = Journal()
        move = Move(
            TransferType.RECEIVABLE_OPENED,
            Account(Kind.RECEIVABLE, self.name(person), ASSET),
            Account(Kind.CLEARING, f"receivables-{self.walk}", ASSET),
            amount,
        )
        journal.add([move], cause=uuid4().hex, correlation_id="test")
        self.stage.run(lambda work: work.ledger.post(journal.transfers, now=NOW))
        self.model.debts[person] += amount
        self.model.opened += amount

    @invariant()
    def everybody_has_what_they_should(self) -> None:
        """Every balance is the model's."""
        model = self.model
        expected: dict[Account, int] = {Account(Kind.POOL, str(self.campaign), ASSET): model.pool}
        for person in PEOPLE:
            name = self.name(person)
            expected[Account(Kind.WINNINGS, name, ASSET)] = model.winnings[person]
            expected[Account(Kind.PENDING, name, ASSET)] = model.pending[person]
            expected[Account(Kind.RECEIVABLE, name, ASSET)] = -model.debts[person]
        for payout, (_, amount) in model.open.items():
            expected[Account(Kind.PAYOUT_PENDING, str(payout), ASSET)] = amount
        for round_id, waiting in model.reserved.items():
            expected[Account(Kind.RESERVED, str(round_id), ASSET)] = waiting.head.platform_fee
        assert self.stage.balances(list(expected)) == list(expected.values())

    @invariant()
    def money_is_conserved(self) -> None:
        """What came in is where the model says, to the minor unit."""
        model = self.model
        held = model.pool + model.fees + sum(model.winnings.values()) + sum(model.pending.values())
        held += sum(amount for _, amount in model.open.values()) + model.paid_out
        held += sum(waiting.head.platform_fee for waiting in model.reserved.values()) + model.recovered
        assert held == model.funded

    def teardown(self) -> None:
        """The implementation's own checks find nothing."""
        assert self.stage.breaches() == []

    def _book(self, waiting: Waiting) -> None:
        head = waiting.head
        self.model.pool -= head.gross - head.unclaimed
        for line in waiting.lines:
            person = line.player.partition("-")[0]
            if head.final:
                self.model.credit(person, line.amount)
            else:
                self.model.pending[person] += line.amount
        if head.final:
            self.model.fees += head.platform_fee
        else:
            self.model.reserved[head.round_id] = waiting

    def _finalize(self, round_id: UUID) -> None:
        waiting = self.model.reserved.pop(round_id, None)
        if waiting is None:
            for queued in self.model.queue:
                if queued.head.round_id == round_id:
                    queued.head = replace(queued.head, final=True)
            return
        for line in waiting.lines:
            person = line.player.partition("-")[0]
            self.model.pending[person] -= line.amount
            self.model.credit(person, line.amount)
        self.model.fees += waiting.head.platform_fee


class MemoryStage(Stage):
    """Over the ports in memory."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    def run(self, work: Callable[[Work], Awaitable[Any]]) -> Any:
        async def go() -> Any:
            return await work(self.store.work())

        return asyncio.run(go())

    def balances(self, accounts: list[Account]) -> list[int]:
        return [self.store.books.balance(account) for account in accounts]


class SqlStage(Stage):
    """Over PostgreSQL, in an event loop of its own."""

    def __init__(self, runner: asyncio.Runner, rig: Rig) -> None:
        self.runner = runner
        self.rig = rig

    def run(self, work: Callable[[Work], Awaitable[Any]]) -> Any:
        async def go() -> Any:
            return await self.rig.db.run(lambda tx: work(self.rig.works.of(tx)))

        return self.runner.run(go())

    def balances(self, accounts: list[Account]) -> list[int]:
        async def go() -> list[int]:
            return [await self.rig.balance(*account) for account in accounts]

        return self.runner.run(go())

    def breaches(self) -> list[str]:
        found: list[str] = self.runner.run(self.rig.breaches())
        return found
