"""A random walk through rewards' use cases beside a model of a few lines, on any implementation of the ports.

The model knows nothing of accounts, transfers or batches: it adds and subtracts what people should have.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from prizewire_contracts import ids
from prizewire_rewards.domain.commands import (
    ChangeCampaign,
    ClosePayout,
    CorrectRound,
    CreateCampaign,
    FinalizeRound,
    FundCampaign,
    MarkPaid,
    MarkReturned,
    RecordMethod,
    RequestPayout,
    SettleRound,
    VoidRound,
    WriteOff,
)
from prizewire_rewards.domain.errors import InsufficientBalance
from prizewire_rewards.domain.ledger import Account, Kind
from prizewire_rewards.domain.model import Delivery, Line, Method, Settlement
from prizewire_rewards.domain.states import PayoutState
from prizewire_rewards.handlers.campaigns import (
    change_campaign,
    create_campaign,
    fund_campaign,
    release_next,
)
from prizewire_rewards.handlers.large import work_on_next
from prizewire_rewards.handlers.payouts import apply_payout_events, request_payout
from prizewire_rewards.handlers.receivables import open_receivable, write_off
from prizewire_rewards.handlers.settlements import RoundCommand, apply_settlements
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
class Game:
    """A round of the model: what each player should have of it, what they got (debts counted as got), and who waits
    because the pool did not reach; ``reserved`` until it is final, ``queued`` while it waits whole.
    """

    head: Settlement
    lines: dict[str, int]
    got: dict[str, int] = field(default_factory=dict)
    queued: bool = False
    voided: bool = False
    owed: dict[str, list[UUID]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    @property
    def short(self) -> int:
        """What its players still wait for, once it was booked."""
        return sum(amount - self.got.get(person, 0) for person, amount in self.lines.items())

    @property
    def waits(self) -> bool:
        return not self.voided and (self.queued or self.short > 0)

    @property
    def wanted(self) -> int:
        return self.head.gross if self.queued else self.short


@dataclass
class Owed:
    """A debt of the model."""

    person: str
    open: int
    ours: bool


@dataclass
class Model:
    """What people should have."""

    pool: int = 0
    funded: int = 0
    fees: int = 0
    outside: int = 0
    winnings: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PEOPLE, 0))
    pending: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PEOPLE, 0))
    debts: dict[UUID, Owed] = field(default_factory=dict)
    open: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    asked: set[UUID] = field(default_factory=set)
    paid: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    paid_out: int = 0
    games: dict[UUID, Game] = field(default_factory=dict)
    queue: list[UUID] = field(default_factory=list)

    def credit(self, person: str, amount: int) -> None:
        """Into winnings, after debts, the oldest first."""
        for debt in self.debts.values():
            if debt.person != person:
                continue
            taken = min(debt.open, amount)
            debt.open -= taken
            amount -= taken
            if debt.ours:
                self.pool += taken
            else:
                self.outside += taken
        self.winnings[person] += amount

    def give(self, game: Game, person: str, amount: int) -> None:
        """A prize, or more of it."""
        game.got[person] = game.got.get(person, 0) + amount
        if game.head.final:
            self.credit(person, amount)
        else:
            self.pending[person] += amount

    def pay(self, game: Game, *, budget: int) -> int:
        """Give in the order of lines what is missing, each whole, until one does not fit; answers what is left."""
        for person in game.order:
            missing = game.lines[person] - game.got.get(person, 0)
            if missing > budget:
                break
            if missing:
                budget -= missing
                self.give(game, person, missing)
        return budget

    def reserve(self, game: Game) -> None:
        """Take a whole round from the pool."""
        game.queued = False
        self.pool -= game.head.gross - game.head.unclaimed

    def book(self, game: Game) -> None:
        """Give what was taken from the pool for a round."""
        self.pay(game, budget=sum(game.lines.values()))
        if game.head.final:
            self.fees += game.head.platform_fee

    def release(self) -> None:
        """Pay who waits, in order, as far as the pool reaches."""
        while self.queue and self.pool >= self.games[self.queue[0]].wanted:
            game = self.games[self.queue.pop(0)]
            if game.queued:
                self.reserve(game)
                self.book(game)
            else:
                short = game.short
                self.pool -= short
                assert self.pay(game, budget=short) == 0


class RewardsMachine(RuleBasedStateMachine):
    """Rules over one campaign and four people, whose names are new in every walk."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.closures = FakeClosures()
        self.walk = uuid4().hex[:8]
        self.requests = 0
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

    def settled_up(self) -> None:
        """What waits is worked on and paid, as the jobs do."""
        while self.stage.run(self._work_on) is not None:
            continue
        while True:
            if self.stage.run(lambda work: release_next(work=work, tools=self.tools, now=NOW)) is None:
                break
            while self.stage.run(self._work_on) is not None:
                continue
        self.model.release()

    async def _work_on(self, work: Work) -> Any:
        return await work_on_next(work=work, tools=self.tools, now=NOW, limit=2)

    @rule(amount=amounts)
    def fund(self, amount: int) -> None:
        """Money comes, and what waits is paid in order as far as it reaches."""
        command = FundCampaign(
            id=uuid4(), campaign=self.campaign, amount=amount, reference="x", actor="admin"
        )
        self.stage.run(lambda work: fund_campaign(command, work=work, now=NOW))
        self.model.pool += amount
        self.model.funded += amount
        self.settled_up()

    def commands_of(
        self, head: Settlement, won: dict[str, int], kind: type[SettleRound]
    ) -> tuple[Settlement, list[SettleRound]]:
        """The commands of a settlement with these lines, one for each part, and its head with their digest."""
        lines = [
            Line(n, self.name(person), n, amount, 1 + (n - 1) * head.parts // max(1, len(won)))
            for n, (person, amount) in enumerate(won.items(), 1)
        ]
        head = replace(
            head,
            unclaimed=head.net - sum(won.values()),
            lines_total=len(lines),
            digest=self.tools.digest(lines, asset=ASSET),
        )
        parts = range(1, head.parts + 1)
        return head, [
            kind(
                settlement=head,
                part=part,
                lines=tuple(line for line in lines if line.part == part),
                cause="s",
                **({"reason": "x"} if kind is CorrectRound else {}),
            )
            for part in parts
        ]

    @rule(
        wins=st.lists(
            st.tuples(
                shares, st.integers(0, 20), st.integers(0, 20), st.booleans(), st.sampled_from([1, 1, 2])
            ),
            min_size=1,
            max_size=3,
        ),
        at_once=st.booleans(),
    )
    def settle(self, wins: list[tuple[dict[str, int], int, int, bool, int]], at_once: bool) -> None:
        """Some rounds settle in one batch, of one part or two; pending ones may become final in the same."""
        commands: list[RoundCommand] = []
        # What is given is not decided before all that is taken: debts bring money back to the pool too late for those
        # of the same run. Rounds of two parts end a run, and are worked on after all others.
        run: list[Callable[[], None]] = []
        late: list[Callable[[], None]] = []
        for won, fee, unclaimed, final, parts in wins:
            net = sum(won.values()) + unclaimed
            head = Settlement(
                round_id=uuid4(), match_id="m", match_source="/g", competition="c",
                correlation_id=uuid4().hex, settlement_version=1, rule_version=1, campaign=self.campaign,
                asset=ASSET, gross=net + fee, platform_fee=fee, organizer_fee=0, organizer_player=None,
                net=net, unclaimed=unclaimed, parts=1 if len(won) < 2 else parts, lines_total=0,
                digest="", final=final, final_at=NOW,
            )  # fmt: skip
            head, settles = self.commands_of(head, won, SettleRound)
            commands += settles
            game = Game(head, dict(won), order=list(won))
            self.model.games[head.round_id] = game
            if head.parts > 1:
                for step in run:
                    step()
                run = []
            steps = late if head.parts > 1 else run
            if self.model.queue or self.model.pool < head.gross:
                game.queued = True
                self.model.queue.append(head.round_id)
            else:
                self.model.reserve(game)
                steps.append(partial(self.model.book, game))
            if at_once and not final:
                commands.append(FinalizeRound(round_id=head.round_id, settlement_version=1, cause="f"))
                steps.append(partial(self._finalize, game))
        for step in [*run, *late]:
            step()
        self.apply(commands)

    def apply(self, commands: list[RoundCommand]) -> None:
        """Apply commands of rounds, none of which is refused."""
        done = self.stage.run(lambda work: apply_settlements(commands, work=work, tools=self.tools, now=NOW))
        assert done.refusals == {}, done.refusals
        self.settled_up()

    def standing(self, *, final: bool | None = None) -> list[UUID]:
        """Rounds that count, those that are final or not if it matters."""
        return [
            key
            for key, game in self.model.games.items()
            if not game.voided and (final is None or game.head.final is final)
        ]

    @precondition(lambda self: self.standing(final=False))
    @rule(data=st.data())
    def finalize(self, data: st.DataObject) -> None:
        """A dispute window passes, of a round that is booked or one that waits."""
        game = self.model.games[data.draw(st.sampled_from(self.standing(final=False)))]
        command = FinalizeRound(
            round_id=game.head.round_id, settlement_version=game.head.settlement_version, cause="f"
        )
        self._finalize(game)
        self.apply([command])

    @precondition(lambda self: self.standing(final=False))
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        """A round does not count: everything is as if it had never been."""
        key = data.draw(st.sampled_from(self.standing(final=False)))
        game = self.model.games[key]
        game.voided = True
        if key in self.model.queue:
            self.model.queue.remove(key)
        if not game.queued:
            self.model.pool += game.head.platform_fee + sum(game.got.values())
        for person, amount in game.got.items():
            self.model.pending[person] -= amount
        game.got, game.lines, game.queued = {}, {}, False
        self.apply([VoidRound(round_id=key, cause="v")])

    @precondition(lambda self: self.standing())
    @rule(data=st.data(), parts=st.sampled_from([1, 1, 2]))
    def correct(self, data: st.DataObject, parts: int) -> None:
        """Other players win, or more, or less; only the differences move."""
        key = data.draw(st.sampled_from(self.standing()))
        game = self.model.games[key]
        left, won = game.head.net, {}
        for person in data.draw(st.permutations(PEOPLE)):
            amount = data.draw(st.integers(0, left))
            if amount:
                won[person] = amount
                left -= amount
        head = replace(
            game.head,
            settlement_version=game.head.settlement_version + 1,
            parts=1 if len(won) < 2 else parts,
        )
        head, commands = self.commands_of(head, won, CorrectRound)
        chunked = game.head.parts > 1 or head.parts > 1
        self._correct(game, head, won, chunked=chunked)
        self.apply(list(commands))

    def _correct(self, game: Game, head: Settlement, won: dict[str, int], *, chunked: bool) -> None:
        model, key = self.model, game.head.round_id
        game.head, game.lines, game.order = head, dict(won), list(won)
        if game.queued:
            return
        back = 0
        for person in [person for person in PEOPLE if game.got.get(person, 0) > won.get(person, 0)]:
            less = game.got[person] - won.get(person, 0)
            game.got[person] -= less
            if not head.final:
                model.pending[person] -= less
                back += less
                continue
            there = min(model.winnings[person], less)
            model.winnings[person] -= there
            back += there
            if there < less:
                debt = ids.receivable_id(
                    cause=f"correction/{key}/{head.settlement_version}", player=self.name(person)
                )
                model.debts[debt] = Owed(person, less - there, ours=True)
                game.owed.setdefault(person, []).append(debt)
                self._ask(person, less - there)
        for person in game.order:
            for debt in game.owed.get(person, []):
                lifted = min(model.debts[debt].open, won[person] - game.got.get(person, 0))
                model.debts[debt].open -= lifted
                game.got[person] = game.got.get(person, 0) + lifted
        needed = game.short
        alone = model.queue in ([], [key])
        budget = min(needed, back + model.pool) if alone else min(needed, back)
        model.pool += back - budget
        # A debt that a payment nets comes back to the pool too late for this correction.
        rest = model.pay(game, budget=budget)
        model.pool += rest
        if game.short and key not in model.queue:
            model.queue.append(key)
        if not game.short and key in model.queue:
            model.queue.remove(key)

    def _ask(self, person: str, amount: int) -> None:
        """Payouts that hold the money are asked to stop, the latest first, until it would be covered."""
        covered = 0
        for payout, (of, held) in reversed(self.model.open.items()):
            if of != person:
                continue
            if covered >= amount:
                break
            covered += held
            self.model.asked.add(payout)

    @rule(person=st.sampled_from(PEOPLE[:3]), amount=amounts)
    def request(self, person: str, amount: int) -> None:
        """A player wants money; without enough of it nothing moves."""
        command = RequestPayout(
            id=uuid4(), player=self.name(person), asset=ASSET, amount=amount, method_id=None
        )
        enough = self.model.winnings[person] >= amount
        try:
            self.requests += 1
            now = NOW + timedelta(seconds=self.requests)
            self.stage.run(lambda work: request_payout(command, work=work, tools=self.tools, now=now))
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
        self.settled_up()

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
        self.settled_up()

    @rule(person=st.sampled_from(PEOPLE), amount=st.integers(1, 50), ours=st.booleans())
    def owe(self, person: str, amount: int, ours: bool) -> None:
        """A debt arises, to the campaign or for something that has none."""
        opened = self.stage.run(
            lambda work: open_receivable(
                player=self.name(person),
                asset=ASSET,
                amount=amount,
                campaign=self.campaign if ours else None,
                cause=uuid4().hex,
                reference="test",
                correlation_id="test",
                work=work,
                now=NOW + timedelta(seconds=len(self.model.debts)),
            )
        )
        self.model.debts[opened.id] = Owed(person, amount, ours)

    @precondition(lambda self: any(debt.open for debt in self.model.debts.values()))
    @rule(data=st.data())
    def write_off(self, data: st.DataObject) -> None:
        """An approver gives up what is owed."""
        key = data.draw(st.sampled_from([key for key, debt in self.model.debts.items() if debt.open]))
        command = WriteOff(receivable_id=key, actor="approver", reason="gone")
        given_up = self.stage.run(lambda work: write_off(command, work=work, now=NOW))
        assert given_up.written_off == self.model.debts[key].open
        self.model.debts[key].open = 0

    @invariant()
    def everybody_has_what_they_should(self) -> None:
        """Every balance is the model's."""
        model = self.model
        expected: dict[Account, int] = {Account(Kind.POOL, str(self.campaign), ASSET): model.pool}
        for person in PEOPLE:
            name = self.name(person)
            owed = sum(debt.open for debt in model.debts.values() if debt.person == person)
            expected[Account(Kind.WINNINGS, name, ASSET)] = model.winnings[person]
            expected[Account(Kind.PENDING, name, ASSET)] = model.pending[person]
            expected[Account(Kind.RECEIVABLE, name, ASSET)] = -owed
        for payout, (_, amount) in model.open.items():
            expected[Account(Kind.PAYOUT_PENDING, str(payout), ASSET)] = amount
        for round_id in model.games:
            expected[Account(Kind.RESERVED, str(round_id), ASSET)] = self._reserve(round_id)
        assert self.stage.balances(list(expected)) == list(expected.values())

    def _reserve(self, round_id: UUID) -> int:
        game = self.model.games[round_id]
        return 0 if game.queued or game.voided or game.head.final else game.head.platform_fee

    @invariant()
    def money_is_conserved(self) -> None:
        """What came in is where the model says, to the minor unit."""
        model = self.model
        held = model.pool + model.fees + sum(model.winnings.values()) + sum(model.pending.values())
        held += sum(amount for _, amount in model.open.values()) + model.paid_out + model.outside
        held += sum(self._reserve(key) for key in model.games)
        assert held == model.funded

    @invariant()
    def cancels_are_asked_for(self) -> None:
        """Of the open payouts those are asked to stop that hold what a correction wants back."""
        asked = self.stage.run(self._asked)
        assert asked == {payout for payout in self.model.open if payout in self.model.asked}

    async def _asked(self, work: Work) -> set[UUID]:
        names = [self.name(person) for person in PEOPLE]
        found = await work.payouts.lock_open(names, asset=ASSET)
        return {payout.id for payout in found if payout.state is PayoutState.CANCEL_REQUESTED}

    def teardown(self) -> None:
        """The implementation's own checks find nothing."""
        assert self.stage.breaches() == []

    def _finalize(self, game: Game) -> None:
        game.head = replace(game.head, final=True)
        if game.queued:
            return
        for person in game.order:
            got = game.got.get(person, 0)
            self.model.pending[person] -= got
            self.model.credit(person, got)
        self.model.fees += game.head.platform_fee


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
