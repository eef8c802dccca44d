"""Competitions as people manage them."""

from datetime import timedelta

import pytest

from prizewire_settlement.domain.errors import RuleInvalid
from prizewire_settlement.handlers.competitions import (
    CompetitionExists,
    CompetitionMissing,
    NotTheirs,
    create_competition,
    replace_rule,
)
from services.settlement.tests.fakes import NOW, FakeWorld, make_rule


async def test_rules_are_versioned() -> None:
    """A new competition has rule 1; every change is the next version, and the earlier ones stay."""
    world = FakeWorld()
    made = await create_competition(store=world, name="Cup", rule=make_rule(version=0), actor="olga", now=NOW)
    changed = await replace_rule(
        store=world,
        name="Cup 2",
        rule=make_rule(gross=5),
        actor="olga",
        may_change_all=False,
        now=NOW + timedelta(1),
    )
    assert (made.rule.version, changed.rule.version) == (1, 2)
    assert world.versions["cup", 1].gross == 10_000
    assert (changed.name, changed.created_at, changed.updated_at) == ("Cup 2", NOW, NOW + timedelta(1))


async def test_an_id_is_taken_once() -> None:
    """A second competition of the same id is refused."""
    world = FakeWorld()
    await create_competition(store=world, name="Cup", rule=make_rule(), actor="olga", now=NOW)
    with pytest.raises(CompetitionExists):
        await create_competition(store=world, name="Cup", rule=make_rule(), actor="otto", now=NOW)


async def test_organizers_change_only_what_they_made() -> None:
    """Another organizer is refused, an admin is not, and what is not there cannot be changed."""
    world = FakeWorld()
    await create_competition(store=world, name="Cup", rule=make_rule(), actor="olga", now=NOW)

    async def change(actor: str, *, admin: bool, competition: str = "cup") -> None:
        rule = make_rule(competition=competition)
        await replace_rule(store=world, name="Cup", rule=rule, actor=actor, may_change_all=admin, now=NOW)

    with pytest.raises(NotTheirs):
        await change("otto", admin=False)
    await change("ada", admin=True)
    with pytest.raises(CompetitionMissing):
        await change("ada", admin=True, competition="unheard")


async def test_a_bad_rule_is_stored_by_neither_way() -> None:
    """Rules are checked before anything is written."""
    world = FakeWorld()
    bad = make_rule(platform_bps=10_001)
    with pytest.raises(RuleInvalid):
        await create_competition(store=world, name="Cup", rule=bad, actor="olga", now=NOW)
    await create_competition(store=world, name="Cup", rule=make_rule(), actor="olga", now=NOW)
    with pytest.raises(RuleInvalid):
        await replace_rule(store=world, name="Cup", rule=bad, actor="olga", may_change_all=False, now=NOW)
    assert list(world.versions) == [("cup", 1)]
