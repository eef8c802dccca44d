"""Rounds whose settlement rewards can never book: marked, resettled under a corrected rule, or voided. Over fakes."""

from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_settlement.competitions.domain.model import CampaignState, EntryFee
from prizewire_settlement.competitions.handlers import keep_campaigns
from prizewire_settlement.errors import DecisionRefused, Reason, ReportRefused, RoundMissing, RuleInvalid
from prizewire_settlement.prizes.domain import PlayerResult
from prizewire_settlement.rounds.domain.model import (
    Disownment,
    Refusal,
    Round,
    RoundCorrected,
    RoundFinalized,
    RoundSettled,
    RoundState,
    RoundVoided,
)
from prizewire_settlement.rounds.handlers.refusals import (
    RecordedRefusals,
    record_disownments,
    record_refusals,
)
from prizewire_settlement.rounds.handlers.resolution import (
    Resolved,
    finalize_due,
    resettle_round,
    resolve_round,
)
from services.settlement.tests.fakes import (
    EURC,
    NOW,
    FakeWorld,
    apply,
    closed,
    completed,
    corrected,
    make_campaign,
    make_competition,
    opened,
    paid,
    placed,
    reasons,
    voided,
)

HOUR = timedelta(hours=1)
OTHER = UUID("11111111-2222-4333-8444-555555555555")
"""A campaign that a mended rule names."""


@pytest.fixture
def world() -> FakeWorld:
    """`cup` with a dispute window of an hour, `fast` without; another campaign."""
    made = FakeWorld()
    made.add(make_competition(dispute_window=HOUR))
    made.add(make_competition(competition="fast"))
    made.campaigns[OTHER] = make_campaign(id=OTHER)
    return made


async def refuse(world: FakeWorld, *, version: int = 1, match: str = "m1") -> RecordedRefusals:
    refusal = Refusal(
        round_id=world.round_of(match).id,
        version=version,
        part=1,
        code="asset_mismatch",
        detail="the campaign is in USDC",
        event_id=f"refused-{version}",
        at=NOW,
    )
    return await record_refusals([refusal], unit_of_work=world.unit_of_work())


def mend(world: FakeWorld, competition: str = "cup", **changes: object) -> None:
    """Put version 2 of a competition's rule into force."""
    rule = world.kept[competition].rule
    world.add(make_competition(replace(rule, version=2, campaign=OTHER, **changes)))  # type: ignore[arg-type]  # fields of a rule


async def resettle(
    world: FakeWorld, *, round_id: UUID | None = None, lines_per_part: int = 1_000
) -> Resolved:
    return await resettle_round(
        round_id=round_id or world.round_of("m1").id,
        reason="the rule named a wrong campaign",
        actor="ada",
        request_id=uuid4(),
        unit_of_work=world.unit_of_work(),
        now=NOW,
        lines_per_part=lines_per_part,
    )


async def resolve(world: FakeWorld, results: tuple[PlayerResult, ...] | None) -> Resolved:
    return await resolve_round(
        round_id=world.round_of("m1").id,
        results=results,
        reason="nobody can pay it",
        actor="ada",
        request_id=uuid4(),
        unit_of_work=world.unit_of_work(),
        now=NOW,
        lines_per_part=1_000,
    )


async def resolve_void(world: FakeWorld) -> Resolved:
    return await resolve(world, None)


@pytest.mark.parametrize(("competition", "state"), [("cup", "SETTLED"), ("fast", "FINALIZED")])
async def test_a_refused_round_is_resettled_under_the_rule_in_force(
    world: FakeWorld, competition: str, state: str
) -> None:
    """round.settled of the next version: the same result, another campaign and gross; the round keeps that rule."""
    await apply(world, completed(competition=competition))
    await refuse(world)
    assert world.round_of("m1").refused_at == NOW
    mend(world, competition, gross=20_000)
    done = await resettle(world)
    assert (done.changed, done.after.state, done.after.refused_at) == (True, RoundState(state), None)
    event = world.published[-1]
    assert type(event) is RoundSettled
    settlement = event.settlement
    assert (settlement.version, settlement.rule.campaign, settlement.final) == (
        2,
        OTHER,
        state == "FINALIZED",
    )
    assert paid(settlement.lines) == {"ann": 10_000, "bob": 6_000, "cyd": 4_000}
    first, second = world.settled
    assert (second.resettled, second.final_at) == (True, first.final_at)
    assert second.reporters == ("ada",), "the person who resettles it is a party"
    assert (done.after.rule_version, done.after.result_version) == (2, 1)
    assert [step.after.value for step in world.steps[-3:] if step.cause.kind == "admin.resolve"][:2] == [
        "RESOLVED",
        "SETTLED",
    ]


async def test_later_changes_keep_the_new_rule(world: FakeWorld) -> None:
    """A correction is an ordinary one again, under the rule that the round has now; finality comes by itself."""
    await apply(world, completed())
    await refuse(world)
    mend(world, gross=20_000)
    await resettle(world)
    applied = await apply(world, corrected(results=placed("bob", "ann", "cyd")))
    assert applied.refused == {}
    event = world.published[-1]
    assert isinstance(event, RoundCorrected)
    assert (event.settlement.version, event.settlement.rule.version) == (3, 2)
    assert paid(event.lines) == {"bob": 10_000, "ann": 6_000, "cyd": 4_000}
    assert await finalize_due(unit_of_work=world.unit_of_work(), now=NOW + 2 * HOUR, actor="job") == 1


async def test_a_result_in_parts_is_read_again_whole(world: FakeWorld) -> None:
    """All parts of the result that stands, in their order; the new settlement has parts of its own."""
    await apply(
        world,
        completed(part=1, parts=2, results=placed("ann", "bob"), event_id="p1"),
        completed(part=2, parts=2, results=placed(cyd=3), event_id="p2"),
    )
    await refuse(world)
    mend(world)
    await resettle(world, lines_per_part=2)
    parts = [
        event for event in world.published if isinstance(event, RoundSettled) and event.settlement.resettled
    ]
    assert [(event.part, len(event.lines)) for event in parts] == [(1, 2), (2, 1)]


async def test_a_refused_round_does_not_become_final(world: FakeWorld) -> None:
    """A refused round stays open to decisions; after it is resettled, its window counts as before."""
    await apply(world, completed())
    await refuse(world)
    late = NOW + 2 * HOUR
    assert await finalize_due(unit_of_work=world.unit_of_work(), now=late, actor="job") == 0
    mend(world)
    await resettle(world)
    assert await finalize_due(unit_of_work=world.unit_of_work(), now=late, actor="job") == 1
    event = world.published[-1]
    assert isinstance(event, RoundFinalized)
    assert event.settlement_version == 2


@pytest.mark.parametrize("competition", ["cup", "fast"])
async def test_a_refused_round_is_voided_though_it_is_final(world: FakeWorld, competition: str) -> None:
    """By an admin; the game server's void of a final round stays refused."""
    await apply(world, completed(competition=competition))
    await refuse(world)
    if competition == "fast":
        applied = await apply(world, voided(competition=competition))
        assert reasons(applied) == {0: (Reason.ILLEGAL_TRANSITION, False)}
    done = await resolve_void(world)
    assert (done.after.state, done.after.refused_at) == (RoundState.VOIDED, None)
    assert isinstance(world.published[-1], RoundVoided)


async def test_a_final_round_that_is_not_refused_is_not_voided(world: FakeWorld) -> None:
    """Its prizes are payable."""
    await apply(world, completed(competition="fast"))
    with pytest.raises(ReportRefused, match="final"):
        await resolve_void(world)


async def test_only_a_refused_round_is_resettled(world: FakeWorld) -> None:
    """Neither an unknown round, nor one that is not refused, nor the same round twice."""
    with pytest.raises(RoundMissing):
        await resettle(world, round_id=uuid4())
    await apply(world, completed())
    with pytest.raises(DecisionRefused, match="round_not_refused"):
        await resettle(world)
    await refuse(world)
    mend(world)
    await resettle(world)
    with pytest.raises(DecisionRefused, match="round_not_refused"):
        await resettle(world)
    assert len(world.settled) == 2


async def test_the_rule_in_force_must_be_another_and_bookable(world: FakeWorld) -> None:
    """The refused rule again, another entry fee, or a campaign that has ended meanwhile is refused with its code, and changes nothing."""
    await apply(world, completed())
    await refuse(world)
    with pytest.raises(DecisionRefused, match="rule_unchanged"):
        await resettle(world)
    mend(world, entry_fee=EntryFee(asset=EURC, amount=250))
    with pytest.raises(DecisionRefused, match="entry_fee_changed"):
        await resettle(world)
    mend(world, entry_fee=None)
    world.campaigns[OTHER] = make_campaign(id=OTHER, state=CampaignState.ENDED)
    with pytest.raises(RuleInvalid, match="campaign_ended"):
        await resettle(world)
    assert len(world.settled) == 1
    assert world.round_of("m1").refused_at == NOW


async def test_a_refusal_marks_only_the_newest_settlement(world: FakeWorld) -> None:
    """A refusal of a superseded settlement is stored without a mark; so is one of a voided round."""
    await apply(world, completed())
    await apply(world, corrected(results=placed("bob", "ann", "cyd")))
    assert (await refuse(world, version=1)).refused == []
    assert world.round_of("m1").refused_at is None
    assert len((await refuse(world, version=2)).refused) == 1
    await resolve_void(world)
    assert [refusal.version for refusal in world.refusals] == [1, 2]


async def test_a_refusal_does_not_mark_a_voided_round(world: FakeWorld) -> None:
    """A voided round pays nothing; the refusal is stored without a mark."""
    await apply(world, completed(), voided())
    assert world.round_of("m1").state is RoundState.VOIDED
    assert (await refuse(world)).refused == []
    assert world.round_of("m1").refused_at is None
    assert [refusal.version for refusal in world.refusals] == [1]


async def test_the_reporter_of_the_result_stays_a_party(world: FakeWorld) -> None:
    """A resettled round names the reporter of its result beside the person who resettled it."""
    await apply(world, completed(reporter="ben"))
    await refuse(world)
    mend(world)
    await resettle(world)
    assert [one.reporters for one in world.settled] == [("ben",), ("ada", "ben")]


async def test_a_correction_takes_the_mark_away(world: FakeWorld) -> None:
    """It is a new settlement, which rewards has not processed yet."""
    await apply(world, completed())
    await refuse(world)
    await apply(world, corrected(results=placed("bob", "ann", "cyd")))
    assert world.round_of("m1").refused_at is None


async def test_a_refusal_of_nothing_that_is_known_does_not_fit(world: FakeWorld) -> None:
    """Neither an unknown round nor a settlement to come."""
    await apply(world, completed())
    assert list((await refuse(world, version=2)).mismatches) == [0]
    assert world.refusals == []


async def test_of_a_campaign_the_newest_version_counts(world: FakeWorld) -> None:
    """In one batch and over several."""
    ended = make_campaign(id=OTHER, state=CampaignState.ENDED, version=3)
    await keep_campaigns([ended, make_campaign(id=OTHER, version=2)], store=world)
    assert world.campaigns[OTHER] == ended


async def disown(world: FakeWorld, round_id: UUID, *, at: datetime = NOW) -> list[Round | None]:
    disownment = Disownment(
        round_id=round_id, id=uuid4(), reason="a version of it was forged", event_id="d", at=at
    )
    return [found for found, _ in await record_disownments([disownment], unit_of_work=world.unit_of_work())]


async def code_of(decision: Coroutine[Any, Any, Resolved]) -> str:
    with pytest.raises(DecisionRefused) as refused:
        await decision
    return refused.value.code


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("competition", ["cup", "fast"])
async def test_a_disowned_round_can_only_be_voided(world: FakeWorld, competition: str, refused: bool) -> None:
    """Settled or final, refused before or not: it is neither resettled, corrected nor made final; an admin voids it."""
    await apply(world, completed(competition=competition))
    round_id = world.round_of("m1").id
    if refused:
        await refuse(world)
    await disown(world, round_id)
    assert (world.round_of("m1").refused_at, world.round_of("m1").disowned_at) == (NOW, NOW)
    mend(world, competition)
    assert await code_of(resettle(world)) == "round_disowned"
    assert await code_of(resolve(world, placed("bob", "ann"))) == "round_disowned"
    late = await apply(world, corrected(competition=competition))
    assert late.refused[0].reason is Reason.ILLEGAL_TRANSITION
    assert not late.refused[0].park
    assert await world.due(now=NOW + 2 * HOUR, limit=9) == []
    done = await resolve_void(world)
    assert (done.after.state, done.after.refused_at, done.after.disowned_at) == (RoundState.VOIDED, None, NOW)
    assert type(world.published[-1]) is RoundVoided
    assert await disown(world, round_id, at=NOW + HOUR) == [done.after]
    assert world.round_of("m1") == done.after


async def test_a_disowned_round_without_a_result_is_voided_by_its_game_server(world: FakeWorld) -> None:
    """It takes neither players nor a result any more, and a void of its match."""
    await apply(world, opened())
    await disown(world, world.round_of("m1").id)
    for report in (closed(), completed()):
        assert (await apply(world, report)).refused[0].reason is Reason.ILLEGAL_TRANSITION
    assert (await apply(world, voided())).refused == {}
    assert (world.round_of("m1").state, world.round_of("m1").refused_at) == (RoundState.VOIDED, None)


async def test_a_round_that_is_disowned_before_it_is_reported(world: FakeWorld) -> None:
    """Most forged rounds are unknown to settlement. One that is reported later can only be voided, too."""
    await apply(world, completed(competition="fast"))
    round_id = world.round_of("m1").id
    fresh = FakeWorld(kept=world.kept, versions=world.versions, wrote=world.wrote)
    assert await disown(fresh, round_id) == [None]
    await apply(fresh, completed(competition="fast"))
    assert (fresh.round_of("m1").disowned_at, fresh.round_of("m1").refused_at) == (NOW, NOW)
    assert (await resolve_void(fresh)).after.state is RoundState.VOIDED
