"""The base of all rules: people, campaigns, the clock, and the jobs that run after each step."""

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
from prizewire_rewards.ledger.handlers import write_off
from prizewire_rewards.payouts.domain.commands import RecordMethod
from prizewire_rewards.payouts.domain.model import Method
from prizewire_rewards.payouts.handlers.outcomes import apply_payout_events
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.players.domain import KycState, PlayerFacts, UpdatePlayers
from prizewire_rewards.players.handlers import update_players
from prizewire_rewards.rounds.domain.commands import FinalizeRound, RoundCommand, SettleRound, VoidRound
from prizewire_rewards.rounds.handlers.held import release_next
from prizewire_rewards.rounds.handlers.large import work_on_next
from prizewire_rewards.rounds.handlers.settlements import SettlementResult, apply_settlements
from prizewire_rewards.storage import Ports
from services.rewards.tests.fakes import FakeClosures
from services.rewards.tests.machine.backends import Backend
from services.rewards.tests.machine.fees import EntryFees, Topups
from services.rewards.tests.machine.holdings import PEOPLE, CampaignModel, Holdings
from services.rewards.tests.machine.prizes import ClaimTerms, Prizes
from services.rewards.tests.rig import make_tools

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ASSET = "USDC"
REFUSED_PLAYER = "dan"
"""A player without a payout method, whose identity check was rejected."""
UNSIGNED_PLAYER = "cat"
"""A player whose rail the signer does not serve: payouts end without a closure, and may be returned."""
HOUR = timedelta(hours=1)
GRANTED = 100
"""The amount that each campaign has granted permanently, so that players can owe it as much."""
RUNS_MAX = 200
"""Far more runs than the jobs need in these walks."""


def rail_of(person: str) -> str:
    """The type of the rail that pays a person."""
    return "fake" if person == UNSIGNED_PLAYER else "stellar"


class Walk(RuleBasedStateMachine):
    """Two campaigns, one of them with claims, and four people. Their names are new in each walk."""

    backend: Backend

    def __init__(self) -> None:
        super().__init__()
        self.closures = FakeClosures()
        self.tools: PayoutTools = replace(make_tools(), closures=self.closures)
        self.walk = uuid4().hex[:8]
        self.now = NOW
        self.campaigns = [CampaignModel(uuid4(), claims=False), CampaignModel(uuid4(), claims=True)]
        self.holdings = Holdings({campaign.id: campaign for campaign in self.campaigns})
        self.entry_fees = EntryFees(self.holdings)
        self.topups = Topups(self.holdings)
        self.prizes: Prizes
        self.before: dict[Account, int] = {}
        self.closed_at_once = 1
        self.methods = {person: uuid4() for person in PEOPLE}

    def name(self, person: str) -> str:
        """The name of a person in this walk."""
        return f"{person}-{self.walk}"

    def tick(self) -> datetime:
        """Advance the clock, so that later steps have later times. Returns the new time."""
        self.now += timedelta(seconds=1)
        return self.now

    def set_up(self, terms: ClaimTerms, funded: tuple[int, int]) -> None:
        """Create campaigns with money in their pools, facts of players, and a payout method for all players but one."""
        # Each walk over the same database is earlier than the one before, so that no claim of an earlier walk
        # falls due in it.
        self.now = NOW - timedelta(days=30) * self.backend.walks
        self.backend.walks += 1
        self.prizes = Prizes(self.holdings, terms)
        self.backend.run(self._make)
        self.run_jobs()  # finish the work of an earlier walk that failed
        shared_accounts = list(self.shared_accounts())
        self.before = dict(zip(shared_accounts, self.backend.balances(shared_accounts), strict=True))
        for campaign, amount in zip(self.campaigns, funded, strict=True):
            if amount:
                self.fund_pool(campaign, amount)

    async def _make(self, ports: Ports) -> None:
        terms = self.prizes.terms
        settings = CampaignSettings(
            claim=ClaimSettings(
                expires_s=int(terms.open_for.total_seconds()),
                review_deadline_s=int(terms.review_for.total_seconds()),
                at_deadline=AtDeadline.RELEASE if terms.released_at_deadline else AtDeadline.REJECT,
            ),
            risk=RiskThresholds(amount=terms.review_from, kyc_above=0 if terms.refused else None),
        )
        for campaign in self.campaigns:
            command = CreateCampaign(
                id=campaign.id, name="league", asset=ASSET, actor="admin", settings=settings,
                delivery=Delivery.CLAIM if campaign.claims else Delivery.WALLET,
            )  # fmt: skip
            await create_campaign(command, ports=ports, tools=self.tools, now=self.now)
            change = ChangeCampaign(campaign=campaign.id, to="active", actor="admin")
            await change_campaign(change, ports=ports, now=self.now)
        facts = [
            PlayerFacts(
                player=self.name(person),
                kyc_state=KycState.REJECTED if person == REFUSED_PLAYER else KycState.VERIFIED,
                kyc_state_told=self.now,
            )
            for person in PEOPLE
        ]
        await update_players(UpdatePlayers(reports=tuple(facts)), ports=ports, now=self.now)
        methods = [
            RecordMethod(method=self._method(person), cause="m")
            for person in PEOPLE
            if person != REFUSED_PLAYER
        ]
        await apply_payout_events(methods, ports=ports, tools=self.tools, now=self.now)

    def _method(self, person: str) -> Method:
        return Method(
            id=self.methods[person], version=1, player=self.name(person), type=rail_of(person), rail_types=(rail_of(person),),
            active=True, verified=True, is_default=True, address="G", memo=None, commitment=None,
        )  # fmt: skip

    def shared_accounts(self) -> dict[Account, int]:
        """Expected changes of accounts that all walks share. The invariants define them."""
        return {}

    def fund_pool(self, campaign: CampaignModel, amount: int) -> None:
        """Fund a pool."""
        command = FundCampaign(
            id=uuid4(), campaign=campaign.id, amount=amount, reference=str(uuid4()), actor="admin"
        )
        self.backend.run(lambda ports: fund_campaign(command, ports=ports, tools=self.tools, now=self.now))
        campaign.pool += amount
        self.holdings.funded += amount
        self.run_jobs()

    def write_off_debt(self, key: UUID) -> None:
        """Write off the open amount of a debt, as an approver."""
        now = self.tick()
        command = WriteOff(receivable_id=key, actor="approver", reason="gone")
        given_up = self.run(lambda ports: write_off(command, ports=ports, now=now))
        debt = self.holdings.debts[key]
        assert given_up.written_off - given_up.restored == debt.open + debt.given_up
        self.holdings.given_up += debt.open
        debt.given_up += debt.open
        debt.open = 0

    def run_jobs(self) -> None:
        """Run the jobs until nothing is left to do."""
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
        """Run a job once; None when it had nothing to do."""
        tools = {"tools": self.tools} if "tools" in signature(job).parameters else {}
        return self.run(lambda ports: job(ports=ports, now=self.now, **tools, **limits))

    def run(self, ports: Any) -> Any:
        """Run a handler with a low limit of entries that are closed at once, so that rounds exceed it more often."""
        with ExitStack() as bounds:
            for name in ("CLOSED_INLINE_MAX", "CLOSED_AT_ONCE_MAX"):
                bounds.enter_context(patch.object(entry_handlers, name, self.closed_at_once))
            return self.backend.run(ports)

    def attempt(self, ports: Any) -> tuple[Any, str | None]:
        """Run a handler. Returns its result, or the code of its refusal."""
        try:
            return self.run(ports), None
        except RewardsError as refused:
            return None, refused.code

    def apply(self, commands: Sequence[RoundCommand]) -> None:
        """Apply commands about rounds and the ends of their entries in one transaction. None may be refused."""
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
        self.run_jobs()


def _ends_of(commands: Sequence[RoundCommand]) -> Mapping[UUID, EntryEnd]:
    """The ends of rounds for their entries, as the consumer reads them from the events."""
    found: dict[UUID, EntryEnd] = {}
    for command in commands:
        if isinstance(command, VoidRound):
            found[command.round_id] = EntryEnd.REFUNDED
        elif isinstance(command, FinalizeRound):
            found[command.round_id] = EntryEnd.EARNED
        elif type(command) is SettleRound and command.settlement.final:
            found[command.settlement.round_id] = EntryEnd.EARNED
    return found
