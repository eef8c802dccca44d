"""What all rules share: the people, their campaigns, the clock, and the jobs that run after everything that happens."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from inspect import signature
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

from hypothesis.stateful import RuleBasedStateMachine

from prizewire_rewards.campaigns.domain.commands import ChangeCampaign, CreateCampaign, FundCampaign
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import (
    AtDeadline,
    CampaignSettings,
    ClaimSettings,
    RiskThresholds,
)
from prizewire_rewards.campaigns.handlers import change_campaign, create_campaign, fund_campaign
from prizewire_rewards.entries.domain import EntryEnd
from prizewire_rewards.entries.handlers import ending as entry_handlers
from prizewire_rewards.entries.handlers.ending import close_entries, close_next
from prizewire_rewards.entries.handlers.entering import load_snapshot
from prizewire_rewards.errors import RewardsError
from prizewire_rewards.ledger.domain.accounts import Account
from prizewire_rewards.ledger.domain.receivables import WriteOff
from prizewire_rewards.ledger.handlers.receivables import write_off
from prizewire_rewards.payouts.domain.commands import RecordMethod
from prizewire_rewards.payouts.domain.model import Method
from prizewire_rewards.payouts.handlers.outcomes import apply_payout_events
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.players.domain.facts import KycState, PlayerFacts, TellPlayers
from prizewire_rewards.players.handlers import tell_players
from prizewire_rewards.rounds.domain.commands import FinalizeRound, RoundCommand, SettleRound, VoidRound
from prizewire_rewards.rounds.handlers.large import work_on_next
from prizewire_rewards.rounds.handlers.queue import release_next
from prizewire_rewards.rounds.handlers.settlements import SettlementResult, apply_settlements
from prizewire_rewards.storage import Ports
from services.rewards.tests.fakes import FakeClosures, FakeDigest, FakeSigner
from services.rewards.tests.machine.fees import Fees, Topups
from services.rewards.tests.machine.prizes import House, Prizes
from services.rewards.tests.machine.purses import PEOPLE, Cup, Purses
from services.rewards.tests.machine.stages import Stage
from services.rewards.tests.rig import make_tools

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ASSET = "USDC"
NOBODY = "dan"
"""Has no payout method, and an identity check that was rejected."""
HOUR = timedelta(hours=1)
GRANTED = 100
"""What each campaign has granted for good, so that as much can be owed to it."""
RUNS_MAX = 200
"""Far more than the jobs need for what these walks leave to them."""


class Walk(RuleBasedStateMachine):
    """Two campaigns, of which one's prizes must be claimed, and four people, whose names are new in every walk."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.closures = FakeClosures()
        self.tools: PayoutTools = replace(
            make_tools(), signer=FakeSigner(), closures=self.closures, digest=FakeDigest()
        )
        self.walk = uuid4().hex[:8]
        self.now = NOW
        self.cups = [Cup(uuid4(), claims=False), Cup(uuid4(), claims=True)]
        self.purses = Purses({cup.id: cup for cup in self.cups})
        self.fees = Fees(self.purses)
        self.topups = Topups(self.purses)
        self.prizes: Prizes
        self.before: dict[Account, int] = {}
        self.closed_at_once = 1

    def name(self, person: str) -> str:
        """What somebody is called in this walk."""
        return f"{person}-{self.walk}"

    def tick(self) -> datetime:
        """Time passes, so that what happens later is later; answers the moment."""
        self.now += timedelta(seconds=1)
        return self.now

    def set_up(self, house: House, funded: tuple[int, int]) -> None:
        """Campaigns with money in their pools, what is known of people, and a payout method for all but one."""
        # Walks over one database go back in time, so that no claim of an earlier one falls due in a later.
        self.now = NOW - timedelta(days=30) * self.stage.walks
        self.stage.walks += 1
        self.prizes = Prizes(self.purses, house)
        self.stage.run(self._make)
        self.settled_up()  # what an earlier walk that failed has left undone
        common = list(self.common())
        self.before = dict(zip(common, self.stage.balances(common), strict=True))
        for cup, amount in zip(self.cups, funded, strict=True):
            if amount:
                self.put_in(cup, amount)

    async def _make(self, ports: Ports) -> None:
        house = self.prizes.house
        settings = CampaignSettings(
            claim=ClaimSettings(
                expires_s=int(house.opens.total_seconds()),
                review_deadline_s=int(house.reviews.total_seconds()),
                at_deadline=AtDeadline.RELEASE if house.lets_go else AtDeadline.REJECT,
            ),
            risk=RiskThresholds(amount=house.looks_from, kyc_above=0 if house.refused else None),
        )
        for cup in self.cups:
            command = CreateCampaign(
                id=cup.id, name="cup", asset=ASSET, actor="admin", settings=settings,
                delivery=Delivery.CLAIM if cup.claims else Delivery.WALLET,
            )  # fmt: skip
            await create_campaign(command, ports=ports, tools=self.tools, now=self.now)
            change = ChangeCampaign(campaign=cup.id, to="active", actor="admin")
            await change_campaign(change, ports=ports, now=self.now)
        told = [
            PlayerFacts(
                player=self.name(person),
                kyc_state=KycState.REJECTED if person == NOBODY else KycState.VERIFIED,
                kyc_state_told=self.now,
            )
            for person in PEOPLE
        ]
        await tell_players(TellPlayers(told=tuple(told)), ports=ports, now=self.now)
        methods = [
            RecordMethod(method=self._method(person), cause="m") for person in PEOPLE if person != NOBODY
        ]
        await apply_payout_events(methods, ports=ports, tools=self.tools, now=self.now)

    def _method(self, person: str) -> Method:
        return Method(
            id=uuid4(), version=1, player=self.name(person), type="stellar", rail_type="stellar",
            active=True, verified=True, is_default=True, address="G", memo=None, commitment=None,
        )  # fmt: skip

    def common(self) -> dict[Account, int]:
        """What the model says of accounts that all walks share; the invariants fill it."""
        return {}

    def put_in(self, cup: Cup, amount: int) -> None:
        """Money into a pool."""
        command = FundCampaign(
            id=uuid4(), campaign=cup.id, amount=amount, reference=str(uuid4()), actor="admin"
        )
        self.stage.run(lambda ports: fund_campaign(command, ports=ports, tools=self.tools, now=self.now))
        cup.pool += amount
        self.purses.funded += amount
        self.settled_up()

    def give_up(self, key: UUID) -> None:
        """An approver gives up what is owed of a debt."""
        now = self.tick()
        command = WriteOff(receivable_id=key, actor="approver", reason="gone")
        given_up = self.run(lambda ports: write_off(command, ports=ports, now=now))
        debt = self.purses.debts[key]
        assert given_up.written_off - given_up.restored == debt.open + debt.given_up
        self.purses.given_up += debt.open
        debt.given_up += debt.open
        debt.open = 0

    def settled_up(self) -> None:
        """What waits is worked on and paid, as the jobs do."""
        jobs = [partial(self.job, work_on_next, limit=2), partial(self.job, release_next)]
        if self.closed_at_once < len(PEOPLE):
            jobs.append(partial(self.job, close_next))
        for _ in range(RUNS_MAX):
            if all(job() is None for job in jobs):
                break
        else:
            raise AssertionError("the jobs never come to an end")
        self.prizes.release(now=self.now)

    def job(self, job: Any, **limits: int) -> Any:
        """One run of a job; None when it had nothing to do."""
        tools = {"tools": self.tools} if "tools" in signature(job).parameters else {}
        return self.run(lambda ports: job(ports=ports, now=self.now, **tools, **limits))

    def run(self, ports: Any) -> Any:
        """Run work where a round has more entries than can be closed at once sooner than in production."""
        with ExitStack() as bounds:
            for name in ("CLOSED_INLINE_MAX", "CLOSED_AT_ONCE_MAX"):
                bounds.enter_context(patch.object(entry_handlers, name, self.closed_at_once))
            return self.stage.run(ports)

    def ask(self, ports: Any) -> tuple[Any, str | None]:
        """What work that somebody asks for came to, or the code that it was refused with."""
        try:
            return self.run(ports), None
        except RewardsError as refused:
            return None, refused.code

    def apply(self, commands: Sequence[RoundCommand]) -> None:
        """Apply commands of rounds, none of which is refused, and what their ends mean to entries, in one transaction."""
        ends = _ends_of(commands)

        async def take(ports: Ports) -> SettlementResult:
            snapshot = await load_snapshot([], ending=ends, ports=ports)
            done = await apply_settlements(commands, ports=ports, tools=self.tools, now=self.now)
            over = {
                key: end for key, end in ends.items() if end is EntryEnd.REFUNDED or key in snapshot.rounds
            }
            if over:
                await close_entries(over, ports=ports, tools=self.tools, now=self.now)
            return done

        done = self.run(take)
        assert done.refusals == {}, done.refusals
        self.settled_up()


def _ends_of(commands: Sequence[RoundCommand]) -> Mapping[UUID, EntryEnd]:
    """Rounds that end for their entries, as the consumer reads it from the events."""
    found: dict[UUID, EntryEnd] = {}
    for command in commands:
        if isinstance(command, VoidRound):
            found[command.round_id] = EntryEnd.REFUNDED
        elif isinstance(command, FinalizeRound):
            found[command.round_id] = EntryEnd.EARNED
        elif type(command) is SettleRound and command.settlement.final:
            found[command.settlement.round_id] = EntryEnd.EARNED
    return found
