"""Corrected results over fakes: supersede, dispute window, parking."""

from dataclasses import replace
from datetime import timedelta

import pytest

from prizewire_settlement.competitions.domain.model import TiePolicy
from prizewire_settlement.errors import Reason
from prizewire_settlement.rounds.domain.model import RoundCorrected, RoundFinalized, RoundSettled, RoundState
from prizewire_settlement.rounds.handlers.resolution import finalize_due
from services.settlement.tests.fakes import (
    NOW,
    FakeWorld,
    apply,
    completed,
    corrected,
    make_competition,
    make_rule,
    opened,
    paid,
    placed,
    reasons,
    voided,
)

HOUR = timedelta(hours=1)
SWAPPED = placed("bob", "ann", "cyd")


@pytest.fixture
def world() -> FakeWorld:
    """`cup` pays 100.00 to three places, and results may be corrected for an hour."""
    made = FakeWorld()
    made.add(make_competition(dispute_window=HOUR))
    return made


async def finalize(world: FakeWorld, after: timedelta = HOUR) -> int:
    return await finalize_due(
        unit_of_work=world.unit_of_work(), now=NOW + after, actor="/prizewire/settlement"
    )


async def test_a_correction_ranks_again_and_publishes_all_lines(world: FakeWorld) -> None:
    """SETTLED, RESOLVED, SETTLED, with the reason; settlement version 2, its end of the window that of version 1."""
    await apply(world, completed())
    later = NOW + timedelta(minutes=30)
    assert reasons(await apply(world, corrected(results=SWAPPED), now=later)) == {}
    assert [(step.before, step.after, step.cause.reason) for step in world.steps[-2:]] == [
        (RoundState.SETTLED, RoundState.RESOLVED, "a judge said so"),
        (RoundState.RESOLVED, RoundState.SETTLED, "a judge said so"),
    ]
    event = world.published[-1]
    assert isinstance(event, RoundCorrected)
    assert (event.version, event.settlement.version, event.reason) == (2, 2, "a judge said so")
    assert (event.settlement.final, event.settlement.final_at) == (False, NOW + HOUR)
    assert paid(event.lines) == {"bob": 5_000, "ann": 3_000, "cyd": 2_000}
    found = world.round_of("m1")
    assert (found.state, found.result_version, found.settlement_version) == (RoundState.SETTLED, 2, 2)
    assert await finalize(world) == 1
    final = world.published[-1]
    assert isinstance(final, RoundFinalized)
    assert (final.version, final.settlement_version) == (3, 2)


async def test_result_and_correction_in_one_batch(world: FakeWorld) -> None:
    """Both are applied, in order, without looking into the database for the lines before."""
    await apply(world, completed(), corrected(results=SWAPPED))
    assert [settlement.version for settlement in world.settled] == [1, 2]
    assert "lines" not in world.calls


async def test_a_correction_that_changes_no_line_makes_no_settlement(world: FakeWorld) -> None:
    """The newer result stands, since a later one must have a higher version; nothing is published."""
    await apply(world, completed())
    fourth = placed("ann", "bob", "cyd", "dan")
    assert reasons(await apply(world, corrected(results=fourth))) == {}
    found = world.round_of("m1")
    assert (found.result_version, found.settlement_version, found.state_seq) == (2, 1, 4)
    assert (len(world.settled), len(world.published)) == (1, 1)
    stale = corrected(event_id="x", results=SWAPPED)
    assert reasons(await apply(world, stale)) == {0: (Reason.RESULT_CONFLICT, False)}
    assert reasons(await apply(world, replace(stale, result_version=3))) == {}


@pytest.mark.parametrize("version", [1, 2])
async def test_result_versions_grow(world: FakeWorld, version: int) -> None:
    """A correction under a version that stands or stood is a conflict; the same one again has no effect."""
    await apply(world, completed(), corrected(results=SWAPPED))
    again = corrected(event_id="again", results=SWAPPED[::-1])
    assert reasons(await apply(world, again)) == {}
    other = corrected(event_id="other", result_version=version, results=placed("cyd"))
    assert reasons(await apply(world, other)) == {0: (Reason.RESULT_CONFLICT, False)}
    assert len(world.settled) == 2


@pytest.mark.parametrize(
    ("window", "source_may"),
    [
        (HOUR, "may send match.corrected with result_version 2 until "),
        (timedelta(0), "the result is final, and only"),
    ],
)
async def test_a_refusal_says_who_may_still_correct(window: timedelta, source_may: str) -> None:
    """The source until the dispute window ends, which is at once with a window of 0; an admin always."""
    world = FakeWorld()
    world.add(make_competition(dispute_window=window))
    await apply(world, completed())
    refused = [await apply(world, completed(event_id="other", results=SWAPPED))]
    if not window:
        refused.append(await apply(world, corrected(results=SWAPPED)))
    for applied in refused:
        detail = applied.refused[0].detail
        assert source_may in detail
        assert f"POST /api/rounds/{world.round_of('m1').id}/resolve" in detail


async def test_a_correction_keeps_the_rounds_rule(world: FakeWorld) -> None:
    """A rule that came into force since counts for other rounds only."""
    await apply(world, completed())
    world.add(make_competition(make_rule(version=2, gross=500, dispute_window=HOUR)))
    await apply(world, corrected(results=SWAPPED))
    assert [(one.rule.version, one.fees.gross) for one in world.settled] == [(1, 10_000), (1, 10_000)]


async def test_after_the_window_a_correction_is_dead(world: FakeWorld) -> None:
    """By time, before the round was made final as after, and where there is no window at all."""
    await apply(world, completed())
    late = corrected(results=SWAPPED)
    refused = {0: (Reason.DISPUTE_WINDOW_PASSED, False)}
    assert reasons(await apply(world, late, now=NOW + HOUR)) == refused
    assert await finalize(world) == 1
    assert reasons(await apply(world, late)) == refused
    world.add(make_competition(competition="fast"))
    fast = {"competition": "fast"}
    applied = await apply(world, completed("m2", **fast), corrected("m2", results=SWAPPED, **fast))
    assert reasons(applied) == {1: (Reason.DISPUTE_WINDOW_PASSED, False)}


async def test_a_correction_that_waited_counts_by_when_it_came(world: FakeWorld) -> None:
    """Parked before the window's end, it is applied after it, as long as the round is not final."""
    await apply(world, completed())
    waited = corrected(results=SWAPPED, waited=True)
    assert reasons(await apply(world, waited, now=NOW + 2 * HOUR)) == {}
    assert await finalize(world, 2 * HOUR) == 1
    final = corrected(event_id="x", result_version=3, waited=True)
    assert reasons(await apply(world, final)) == {0: (Reason.DISPUTE_WINDOW_PASSED, False)}


async def test_a_correction_before_its_result_waits(world: FakeWorld) -> None:
    """Of an unknown match, an open one, and one whose result is not whole: it parks, and changes nothing."""
    first = completed("m3", part=1, parts=2, results=placed("ann"))
    await apply(world, opened("m2"), first)
    before = dict(world.held)
    applied = await apply(world, *(corrected(match) for match in ("m1", "m2", "m3")))
    assert reasons(applied) == dict.fromkeys(range(3), (Reason.RESULT_MISSING, True))
    assert world.held == before


async def test_a_correction_that_the_rule_refuses_is_dead() -> None:
    """The result before it stands."""
    world = FakeWorld()
    world.add(make_competition(dispute_window=HOUR, ties=TiePolicy.REFUSE))
    await apply(world, completed())
    tied = corrected(results=placed(ann=1, bob=1))
    assert reasons(await apply(world, tied)) == {0: (Reason.TIE_REFUSED, False)}
    assert world.round_of("m1").settlement_version == 1


def part(number: int, count: int, *, version: int = 2, **players: int) -> object:
    return corrected(
        event_id=f"v{version}-p{number}-{count}",
        part=number,
        parts=count,
        result_version=version,
        results=placed(**players),
    )


async def test_a_correction_in_parts_waits_and_holds_finality(world: FakeWorld) -> None:
    """The round stays settled under the first result, and becomes final only once the last part decided."""
    await apply(world, completed())
    await apply(world, part(1, 2, bob=1, ann=2), now=NOW + HOUR / 2)
    found = world.round_of("m1")
    assert (found.state, found.settlement_version, found.waiting_since) == (
        RoundState.SETTLED,
        1,
        NOW + HOUR / 2,
    )
    assert await finalize(world, 2 * HOUR) == 0
    assert reasons(await apply(world, part(2, 2, cyd=3), now=NOW + 2 * HOUR)) == {}
    assert paid(world.settled[-1].lines) == {"bob": 5_000, "ann": 3_000, "cyd": 2_000}
    assert world.round_of("m1").waiting_since is None
    assert await finalize(world, 2 * HOUR) == 1


async def test_parts_of_a_result_are_no_parts_of_a_correction(world: FakeWorld) -> None:
    """A waiting part of the first result does not complete a correction."""
    await apply(world, completed(event_id="a", result_version=3, part=1, parts=2, results=placed("eve")))
    await apply(world, completed(event_id="b"))
    assert world.round_of("m1").waiting_since is None
    await apply(world, part(2, 2, version=3, cyd=3))
    assert world.round_of("m1").settlement_version == 1
    await apply(world, part(1, 2, version=3, bob=1))
    assert paid(world.settled[-1].lines) == {"bob": 5_000, "cyd": 2_000}


async def test_a_newer_whole_correction_supersedes_parts_that_wait(world: FakeWorld) -> None:
    """A later part of them is a conflict; parts of a still newer correction keep waiting."""
    await apply(world, completed())
    await apply(world, part(1, 2, eve=1), part(1, 2, version=4, bob=1))
    await apply(world, corrected(result_version=3, results=SWAPPED))
    assert world.round_of("m1").waiting_since == NOW
    assert reasons(await apply(world, part(2, 2, cyd=3))) == {0: (Reason.RESULT_CONFLICT, False)}
    await apply(world, part(2, 2, version=4, cyd=3))
    found = world.round_of("m1")
    assert (found.result_version, found.settlement_version, found.waiting_since) == (4, 3, None)


async def test_a_large_correction_goes_out_in_parts(world: FakeWorld) -> None:
    """Versions go on without a gap after those of the first settlement."""
    await apply(world, completed(), lines_per_part=2)
    await apply(world, corrected(results=SWAPPED), lines_per_part=2)
    events = [event for event in world.published if isinstance(event, RoundSettled)]
    assert [(event.version, event.part, event.settlement.version) for event in events] == [
        (1, 1, 1),
        (2, 2, 1),
        (3, 1, 2),
        (4, 2, 2),
    ]


async def test_a_voided_round_is_not_corrected(world: FakeWorld) -> None:
    """The correction is dead, whether it comes late or waited."""
    await apply(world, completed(), voided())
    for late in (corrected(), corrected(waited=True, event_id="w")):
        assert reasons(await apply(world, late)) == {0: (Reason.ILLEGAL_TRANSITION, False)}
