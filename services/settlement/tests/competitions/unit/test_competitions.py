"""Competitions as people manage them."""

from datetime import timedelta

import pytest

from prizewire_settlement.competitions.domain.model import Campaign, CampaignState, Competition
from prizewire_settlement.competitions.handlers import create_competition, replace_rule
from prizewire_settlement.competitions.ports import UnitOfWork
from prizewire_settlement.errors import CompetitionExists, CompetitionMissing, RuleInvalid
from services.settlement.tests.fakes import NOW, FakeWorld, make_campaign, make_rule


async def test_rules_are_versioned() -> None:
    """A new competition has rule 1; every change is the next version, and the earlier ones stay."""
    world = FakeWorld()
    made = await create_competition(
        unit_of_work=UnitOfWork(world, world), name="Cup", rule=make_rule(version=0), actor="olga", now=NOW
    )
    changed, written = await replace_rule(
        unit_of_work=UnitOfWork(world, world),
        name="Cup 2",
        rule=make_rule(gross=5),
        actor="olga",
        now=NOW + timedelta(1),
    )
    assert written
    assert (made.rule.version, changed.rule.version) == (1, 2)
    assert world.versions["cup", 1].gross == 10_000
    assert (changed.name, changed.created_at, changed.updated_at) == ("Cup 2", NOW, NOW + timedelta(1))


async def test_the_rule_in_force_is_no_new_version() -> None:
    """The same name and rule, put again by another person, write nothing: no version, no writer, no time of a change."""
    world = FakeWorld()
    made = await create_competition(
        unit_of_work=UnitOfWork(world, world), name="Cup", rule=make_rule(version=0), actor="olga", now=NOW
    )

    async def say(name: str) -> tuple[Competition, bool]:
        return await replace_rule(
            unit_of_work=UnitOfWork(world, world),
            name=name,
            rule=make_rule(version=0),
            actor="ada",
            now=NOW + timedelta(1),
        )

    assert await say("Cup") == (made, False)
    assert list(world.versions) == [("cup", 1)]
    renamed, written = await say("Renamed")
    assert (renamed.rule.version, renamed.rule.writers, written) == (2, ("ada", "olga"), True)


async def test_a_competition_id_is_used_once() -> None:
    """A second competition of the same id is refused."""
    world = FakeWorld()
    await create_competition(
        unit_of_work=UnitOfWork(world, world), name="Cup", rule=make_rule(), actor="olga", now=NOW
    )
    with pytest.raises(CompetitionExists):
        await create_competition(
            unit_of_work=UnitOfWork(world, world), name="Cup", rule=make_rule(), actor="otto", now=NOW
        )


async def test_an_unknown_competition_cannot_be_changed() -> None:
    """A new rule for an unknown competition is refused and stored nowhere."""
    world = FakeWorld()
    await create_competition(
        unit_of_work=UnitOfWork(world, world), name="Cup", rule=make_rule(), actor="olga", now=NOW
    )
    with pytest.raises(CompetitionMissing):
        await replace_rule(
            unit_of_work=UnitOfWork(world, world),
            name="Cup",
            rule=make_rule(competition="unheard"),
            actor="ada",
            now=NOW,
        )
    assert list(world.versions) == [("cup", 1)]


async def test_an_invalid_rule_is_neither_created_nor_put() -> None:
    """Rules are checked before anything is written."""
    world = FakeWorld()
    bad = make_rule(platform_bps=10_001)
    with pytest.raises(RuleInvalid):
        await create_competition(
            unit_of_work=UnitOfWork(world, world), name="Cup", rule=bad, actor="olga", now=NOW
        )
    await create_competition(
        unit_of_work=UnitOfWork(world, world), name="Cup", rule=make_rule(), actor="olga", now=NOW
    )
    with pytest.raises(RuleInvalid):
        await replace_rule(unit_of_work=UnitOfWork(world, world), name="Cup", rule=bad, actor="olga", now=NOW)
    assert list(world.versions) == [("cup", 1)]


@pytest.mark.parametrize(
    ("campaign", "code"),
    [
        (None, "campaign_unknown"),
        (make_campaign(asset="USDC"), "asset_mismatch"),
        (make_campaign(state=CampaignState.ENDED), "campaign_ended"),
    ],
)
async def test_a_rule_that_rewards_could_never_book_is_neither_created_nor_put(
    campaign: Campaign | None, code: str
) -> None:
    """Its campaign must be known, in the rule's asset, and not ended."""
    world = FakeWorld()
    await create_competition(
        unit_of_work=UnitOfWork(world, world), name="Cup", rule=make_rule(), actor="olga", now=NOW
    )
    world.campaigns = {} if campaign is None else {campaign.id: campaign}
    with pytest.raises(RuleInvalid) as created:
        await create_competition(
            unit_of_work=UnitOfWork(world, world),
            name="Other",
            rule=make_rule(competition="other"),
            actor="olga",
            now=NOW,
        )
    with pytest.raises(RuleInvalid) as replaced:
        await replace_rule(
            unit_of_work=UnitOfWork(world, world), name="Cup", rule=make_rule(), actor="olga", now=NOW
        )
    assert (created.value.code, replaced.value.code) == (code, code)
    assert list(world.versions) == [("cup", 1)]
