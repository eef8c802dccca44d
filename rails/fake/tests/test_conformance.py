"""The fake rail passes the suite that every rail passes, with its journal in memory and in a file; its verifier too."""

from pathlib import Path
from typing import ClassVar

import pytest

from prizewire_rail_fake import Journal
from prizewire_railkit.conformance import Feature, RailConformance, Signing, Stage, VerifierConformance
from rails.fake.tests.stage import FakeSigning, FakeStage

SKIPS = {Feature.BALANCES: "the rail invents its money"}


class TestInMemory(RailConformance):
    skips: ClassVar = SKIPS

    async def make_stage(self) -> Stage:
        return FakeStage(Journal())


class TestWithFile(RailConformance):
    skips: ClassVar = SKIPS

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    async def make_stage(self) -> Stage:
        return FakeStage(Journal(self.folder / "journal.sqlite"))


class TestVerifier(VerifierConformance):
    async def make_signing(self) -> Signing:
        return FakeSigning()
