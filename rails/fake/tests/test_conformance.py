"""The fake rail passes the suite that every rail passes, with its book in memory and in a file."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import PayoutInstruction, RewardPayoutProvider
from prizewire_money import Amount, Asset
from prizewire_rail_fake import FakeProvider, Journal, Scenario
from prizewire_railkit.conformance import Behaviour, RailConformance, Stage

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EURC = Asset("EURC", 2, redeemable=True)
SCENARIOS = {
    Behaviour.SUCCESS: Scenario.SUCCESS,
    Behaviour.PENDING: Scenario.PENDING,
    Behaviour.FAILURE: Scenario.FAILURE,
    Behaviour.RETRYABLE: Scenario.RETRYABLE,
    Behaviour.LOST_ANSWER: Scenario.LOST_ANSWER,
    Behaviour.OUTAGE: Scenario.OUTAGE,
}


class FakeStage:
    """The rail over its book; the book outlives the provider."""

    secrets: Sequence[str] = ()

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.provider: RewardPayoutProvider = self._new()

    def _new(self, scenario: Scenario = Scenario.SUCCESS) -> FakeProvider:
        return FakeProvider(name="fake", assets=frozenset({"EURC"}), journal=self.journal, scenario=scenario)

    def now(self) -> datetime:
        return NOW

    def smallest(self) -> Amount:
        return Amount(EURC, 1)

    def instruction(self, *, amount: Amount | None = None) -> PayoutInstruction:
        payout_id = uuid4()
        account = hashlib.sha256(payout_id.bytes).hexdigest()
        return PayoutInstruction(
            payout_id=payout_id,
            attempt_no=1,
            provider_key=provider_key(payout_id=payout_id, attempt_no=1),
            correlation_id=f"test-{payout_id}",
            amount=amount or Amount(EURC, 12_345),
            method_type="fake",
            details={"account": account},
        )

    async def behave(self, behaviour: Behaviour) -> None:
        assert isinstance(self.provider, FakeProvider)
        self.provider.scenario = SCENARIOS[behaviour]

    async def effects(self, payout_id: UUID) -> int:
        return self.journal.effects(payout_id)

    async def restart(self) -> None:
        self.provider = self._new()


class TestInMemory(RailConformance):
    async def make_stage(self) -> Stage:
        return FakeStage(Journal())


class TestWithFile(RailConformance):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    async def make_stage(self) -> Stage:
        return FakeStage(Journal(self.folder / "book.sqlite"))
