"""The fake rail passes the suite that every rail passes, with its journal in memory and in a file; its verifier too."""

from pathlib import Path

import pytest

from prizewire_rail_fake import Journal
from prizewire_railkit.conformance import RailConformance, Signing, Stage, VerifierConformance
from rails.fake.tests.stage import FakeSigning, FakeStage


class TestInMemory(RailConformance):
    async def make_stage(self) -> Stage:
        return FakeStage(Journal())


class TestWithFile(RailConformance):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    async def make_stage(self) -> Stage:
        return FakeStage(Journal(self.folder / "journal.sqlite"))


class TestVerifier(VerifierConformance):
    async def make_signing(self) -> Signing:
        return FakeSigning()
