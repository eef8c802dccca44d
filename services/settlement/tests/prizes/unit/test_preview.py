"""Previews: the same arithmetic as a settlement, under a stored rule or one from the request."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from prizewire_settlement.competitions.domain.model import Competition, Rule
from prizewire_settlement.competitions.handlers import known_rule
from prizewire_settlement.errors import CompetitionMissing, Reason, ReportRefused, RuleInvalid
from prizewire_settlement.prizes import domain as prizes
from prizewire_settlement.prizes.domain import Line, Prizes
from prizewire_settlement.prizes.handlers import preview
from prizewire_settlement.rounds.domain.model import Round
from prizewire_settlement.rounds.handlers.matches import apply_reports
from prizewire_settlement.rounds.ports import RoundFilter, RoundRecord
from services.settlement.tests.fakes import (
    NOW,
    FakeWorld,
    completed,
    make_competition,
    make_rule,
    paid,
    placed,
)


@dataclass
class FakeQueries:
    """The port ``Queries`` as far as a preview asks it."""

    competitions: dict[str, Competition] = field(default_factory=dict)
    rules: dict[tuple[str, int], Rule] = field(default_factory=dict)

    async def competition(self, competition_id: str) -> Competition | None:
        return self.competitions.get(competition_id)

    async def rule(self, competition_id: str, version: int) -> Rule | None:
        return self.rules.get((competition_id, version))

    async def competition_page(self, *, before: tuple[datetime, str] | None, limit: int) -> list[Competition]:
        raise AssertionError("a preview reads one rule")

    async def round_page(
        self, wanted: RoundFilter, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Round]:
        raise AssertionError("a preview reads one rule")

    async def round(self, round_id: UUID) -> RoundRecord | None:
        raise AssertionError("a preview reads one rule")

    async def newest_lines(self, round_id: UUID) -> tuple[int, Rule, list[Line]] | None:
        raise AssertionError

    async def line_page(self, round_id: UUID, *, after: int, limit: int) -> tuple[Rule, list[Line]] | None:
        raise AssertionError("a preview reads one rule")

    async def rounds_of(self, correlation_id: str) -> list[RoundRecord]:
        raise AssertionError("a preview reads one rule")


async def test_the_rule_in_force_is_asked_unless_a_version_is_named() -> None:
    """Version 2 is in force, version 1 can be asked for, version 3 does not exist."""
    first, second = make_rule(), make_rule(version=2, gross=20_000)
    queries = FakeQueries({"cup": make_competition(second)}, {("cup", 1): first, ("cup", 2): second})
    assert await known_rule(queries=queries, competition_id="cup", version=None) == second
    assert await known_rule(queries=queries, competition_id="cup", version=1) == first
    for competition_id, version in (("cup", 3), ("unheard", None), ("unheard", 1)):
        with pytest.raises(CompetitionMissing):
            await known_rule(queries=queries, competition_id=competition_id, version=version)


def test_a_preview_is_what_a_settlement_would_be() -> None:
    """Lines, fees and the unclaimed rest come from the same arithmetic."""
    found = preview(rule=make_rule(platform_bps=1_000), results=placed("ann", "bob"))
    assert paid(found.prizes.lines) == {"ann": 4_500, "bob": 2_700}
    assert (found.prizes.fees.platform, found.prizes.unclaimed) == (1_000, 1_800)


def test_a_rule_that_is_not_stored_is_checked_first() -> None:
    """A rule that PUT refuses is refused by a preview too; a stored rule is not checked again."""
    with pytest.raises(RuleInvalid) as invalid:
        preview(rule=make_rule(version=0, gross=-1), results=placed("ann"))
    assert invalid.value.code == "amount_negative"


def test_a_preview_refuses_like_a_report() -> None:
    """The reason is the same as for a report."""
    with pytest.raises(ReportRefused) as refused:
        preview(rule=make_rule(), results=(*placed("ann"), *placed("ann")))
    assert refused.value.reason is Reason.DUPLICATE_PLAYER


@pytest.fixture
def lossy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arithmetic that loses a unit."""

    def lose(**values: Any) -> Prizes:
        return Prizes(**{**values, "unclaimed": values["unclaimed"] - 1})

    monkeypatch.setattr(prizes, "Prizes", lose)


@pytest.mark.usefixtures("lossy")
def test_wrong_arithmetic_is_not_shown() -> None:
    """Lines and unclaimed that are not the net prize fail a preview."""
    with pytest.raises(AssertionError, match="net is not lines and unclaimed"):
        preview(rule=make_rule(), results=placed("ann"))


@pytest.mark.usefixtures("lossy")
async def test_wrong_arithmetic_settles_nothing(world: FakeWorld) -> None:
    """It fails a settlement as well, before anything is stored or published."""
    with pytest.raises(AssertionError, match="net is not lines and unclaimed"):
        await apply_reports(
            [completed()],
            competitions=world.kept,
            unit_of_work=world.unit_of_work(),
            now=NOW,
            lines_per_part=1_000,
        )
    assert (world.held, world.settled, world.published) == ({}, [], [])
