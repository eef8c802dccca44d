"""What an admin decides about a round, over fakes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from prizewire_settlement.errors import Reason, ReportRefused, RoundMissing
from prizewire_settlement.prizes.domain import PlayerResult
from prizewire_settlement.rounds.domain.changes import RESOLVE
from prizewire_settlement.rounds.domain.model import RoundCorrected, RoundSettled, RoundState, RoundVoided
from prizewire_settlement.rounds.handlers.resolution import Resolved, resolve_round
from services.settlement.tests.fakes import (
    NOW,
    FakeWorld,
    apply,
    closed,
    completed,
    corrected,
    make_competition,
    opened,
    paid,
    placed,
    reasons,
    voided,
)

HOUR = timedelta(hours=1)
REQUEST = UUID("aaaaaaaa-aaaa-5aaa-8aaa-aaaaaaaaaaaa")
SWAPPED = placed("bob", "ann", "cyd")


@pytest.fixture
def world() -> FakeWorld:
    """`cup` with a dispute window of an hour, `fast` without."""
    made = FakeWorld()
    made.add(make_competition(dispute_window=HOUR))
    made.add(make_competition(competition="fast"))
    return made


async def resolve(
    world: FakeWorld,
    results: Sequence[PlayerResult] | None = SWAPPED,
    *,
    round_id: UUID | None = None,
    now: datetime = NOW,
) -> Resolved:
    return await resolve_round(
        round_id=round_id or world.round_of("m1").id,
        results=results,
        reason="appeal upheld",
        actor="ada",
        request_id=REQUEST,
        unit_of_work=world.unit_of_work(),
        now=now,
        lines_per_part=1_000,
    )


@pytest.mark.parametrize("report", [opened(), closed(), completed(part=1, parts=2, results=placed("ann"))])
async def test_a_round_without_a_result_is_settled(world: FakeWorld, report: object) -> None:
    """The result settles it as a game server's would, the cause is the admin, and waiting parts do not count any more."""
    await apply(world, report)
    resolved = await resolve(world)
    assert resolved.changed
    event, step = world.published[-1], world.steps[-1]
    assert isinstance(event, RoundSettled)
    assert not isinstance(event, RoundCorrected)
    assert paid(event.lines) == {"bob": 5_000, "ann": 3_000, "cyd": 2_000}
    assert (step.cause.kind, step.cause.actor, step.cause.reason) == (RESOLVE, "ada", "appeal upheld")
    assert (event.caused_by, resolved.after.waiting_since) == (str(REQUEST), None)
    late = completed(part=2, parts=2, event_id="p2", results=placed(bob=2))
    assert reasons(await apply(world, late)) == {0: (Reason.RESULT_CONFLICT, False)}


async def test_a_settled_round_is_corrected(world: FakeWorld) -> None:
    """Also when its window has passed by the clock."""
    await apply(world, completed())
    resolved = await resolve(world)
    assert (resolved.before.state, resolved.after.state) == (RoundState.SETTLED, RoundState.SETTLED)
    event = world.published[-1]
    assert isinstance(event, RoundCorrected)
    assert (event.settlement.version, event.settlement.final, event.reason) == (2, False, "appeal upheld")


async def test_a_final_round_is_corrected_and_stays_final(world: FakeWorld) -> None:
    """FINALIZED, RESOLVED, SETTLED, FINALIZED; round.corrected says final, at the moment of the first settlement."""
    await apply(world, completed(competition="fast"))
    resolved = await resolve(world)
    assert [(step.before, step.after) for step in world.steps[-3:]] == [
        (RoundState.FINALIZED, RoundState.RESOLVED),
        (RoundState.RESOLVED, RoundState.SETTLED),
        (RoundState.SETTLED, RoundState.FINALIZED),
    ]
    event = world.published[-1]
    assert isinstance(event, RoundCorrected)
    assert (event.settlement.final, event.settlement.final_at, resolved.after.final_at) == (True, NOW, NOW)
    assert resolved.after.state is RoundState.FINALIZED


@pytest.mark.parametrize("results", [SWAPPED, None])
async def test_a_decision_is_never_before_the_report_that_it_follows(
    world: FakeWorld, results: Sequence[PlayerResult] | None
) -> None:
    """A decision that read the clock before it waited for the round's lock has the time of the round's newest change."""
    await apply(world, completed(), now=NOW + HOUR)
    await resolve(world, results, now=NOW)
    assert {step.at for step in world.steps} == {NOW + HOUR}
    assert world.round_of("m1").updated_at == NOW + HOUR


async def test_a_report_is_never_before_the_one_that_it_follows(world: FakeWorld) -> None:
    """A batch that read the clock before it waited for the round's lock has the time of the round's newest change."""
    await apply(world, opened(), now=NOW + HOUR)
    await apply(world, completed(), now=NOW)
    await apply(world, corrected(results=SWAPPED), now=NOW)
    assert {step.at for step in world.steps} == {NOW + HOUR}


async def test_the_same_result_changes_nothing(world: FakeWorld) -> None:
    """Nothing is published, and `changed` is False."""
    await apply(world, completed())
    resolved = await resolve(world, placed("ann", "bob", "cyd"))
    assert (resolved.changed, resolved.after.settlement_version) == (False, 1)
    assert len(world.published) == 1


async def test_a_correction_by_the_game_server_must_be_newer_than_the_admins(world: FakeWorld) -> None:
    """An admin's result takes the next version: one that the game server numbered before is a conflict."""
    await apply(world, completed())
    await resolve(world)
    late = corrected(results=placed("cyd"))
    assert reasons(await apply(world, late)) == {0: (Reason.RESULT_CONFLICT, False)}


async def test_a_round_is_voided_before_it_is_final(world: FakeWorld) -> None:
    """Once; again changes nothing."""
    await apply(world, completed())
    assert (await resolve(world, None)).changed
    event = world.published[-1]
    assert isinstance(event, RoundVoided)
    assert event.reason == "appeal upheld"
    assert not (await resolve(world, None)).changed


async def test_impossible_decisions_are_refused(world: FakeWorld) -> None:
    """A final round is not voided, a voided one takes no result, settled before or not, an unknown one is missing."""
    await apply(world, completed("m1", competition="fast"), voided("m2"), completed("m3"), voided("m3"))
    for results, match in ((None, "m1"), (SWAPPED, "m2"), (SWAPPED, "m3")):
        with pytest.raises(ReportRefused) as refused:
            await resolve(world, results, round_id=world.round_of(match).id)
        assert refused.value.reason is Reason.ILLEGAL_TRANSITION
    with pytest.raises(RoundMissing):
        await resolve(world, round_id=uuid4())


async def test_a_result_that_the_rule_refuses_is_refused(world: FakeWorld) -> None:
    """An admin's result obeys the rule like any other."""
    await apply(world, opened())
    with pytest.raises(ReportRefused) as refused:
        await resolve(world, placed("ann") + placed("ann"))
    assert refused.value.reason is Reason.DUPLICATE_PLAYER
    assert world.round_of("m1").state is RoundState.OPEN
