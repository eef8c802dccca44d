"""Batches of match reports over fakes: authenticate, bind, settle, refuse."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from prizewire_contracts.ids import match_correlation_id
from prizewire_settlement.competitions.domain.model import RankBy, Source, TiePolicy
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.prizes.domain import PlayerResult
from prizewire_settlement.rounds.domain.acceptance import PARTS_MAX
from prizewire_settlement.rounds.domain.model import RoundFinalized, RoundProgressed, RoundSettled, RoundState
from prizewire_settlement.rounds.handlers.resolution import finalize_due
from services.settlement.tests.fakes import (
    KEY,
    NOW,
    OTHER_KEY,
    SOURCE,
    FakeWorld,
    apply,
    closed,
    completed,
    corrected,
    make_competition,
    make_rule,
    opened,
    paid,
    placed,
    reasons,
    source_key,
)


async def test_a_result_alone_implies_the_earlier_steps_and_says_one_event(world: FakeWorld) -> None:
    """Five stored steps, one round.settled with version 1, final where there is no dispute window."""
    assert reasons(await apply(world, completed())) == {}
    assert [(step.seq, step.before, step.after) for step in world.steps] == [
        (1, RoundState.NEW, RoundState.OPEN),
        (2, RoundState.OPEN, RoundState.CLOSED),
        (3, RoundState.CLOSED, RoundState.RESOLVED),
        (4, RoundState.RESOLVED, RoundState.SETTLED),
        (5, RoundState.SETTLED, RoundState.FINALIZED),
    ]
    assert {(step.cause.id, step.cause.actor, step.correlation_id, step.at) for step in world.steps} == {
        ("m1-completed", SOURCE, "corr-m1", NOW)
    }
    (event,) = world.published
    assert isinstance(event, RoundSettled)
    assert (event.version, event.part, event.settlement.parts, event.settlement.final) == (1, 1, 1, True)
    assert event.settlement.final_at == NOW
    assert paid(event.lines) == {"ann": 5_000, "bob": 3_000, "cyd": 2_000}
    assert world.round_of("m1").state is RoundState.FINALIZED


async def test_facts_with_their_own_report_have_their_own_event(world: FakeWorld) -> None:
    """opened, closed and completed in one batch: three events, versions without a gap, each step's own cause."""
    await apply(world, opened(), closed(), completed())
    assert [(type(event), event.version, event.caused_by) for event in world.published] == [
        (RoundProgressed, 1, "m1-o"),
        (RoundProgressed, 2, "m1-c"),
        (RoundSettled, 3, "m1-completed"),
    ]
    assert [step.cause.id for step in world.steps[:2]] == ["m1-o", "m1-c"]
    assert world.round_of("m1").version == 3


async def test_closed_alone_implies_opened(world: FakeWorld) -> None:
    """The step is stored; only the fact that was reported has an event."""
    await apply(world, closed())
    assert [step.after for step in world.steps] == [RoundState.OPEN, RoundState.CLOSED]
    (event,) = world.published
    assert isinstance(event, RoundProgressed)
    assert (event.state, event.at) == (RoundState.CLOSED, NOW - timedelta(seconds=3))


async def test_an_implied_step_changes_nothing(world: FakeWorld) -> None:
    """Opened and closed after the result, and each of them twice, have no effect."""
    await apply(world, opened(), opened(event_id="again"), closed(), closed(event_id="again"), completed())
    before = (list(world.steps), list(world.published))
    assert reasons(await apply(world, opened(event_id="late"), closed(event_id="late"))) == {}
    assert (world.steps, world.published) == before


async def test_a_batch_costs_the_same_calls_whatever_its_size(world: FakeWorld) -> None:
    """One call each for competitions, rounds, save and publish, for one match and for three hundred."""
    await apply(world, completed())
    few, world.calls = world.calls, []
    await apply(world, *(completed(f"x{n}") for n in range(300)))
    assert world.calls == few
    assert few == ["competitions", "rounds", "save"]


async def test_the_same_result_again_has_no_effect(world: FakeWorld) -> None:
    """Another event with the same players and places, in another order, even in the same batch."""
    shuffled = tuple(reversed(placed("ann", "bob", "cyd")))
    assert reasons(await apply(world, completed(), completed(event_id="b", results=shuffled))) == {}
    assert reasons(await apply(world, completed(event_id="c"))) == {}
    assert (len(world.settled), len(world.published)) == (1, 1)


async def test_another_result_for_a_settled_match_is_a_conflict(world: FakeWorld) -> None:
    """Without a correction a settled result stays; the conflict is dead and parks nothing."""
    other = placed("bob", "ann", "cyd")
    applied = await apply(world, completed(), completed(event_id="b", results=other))
    assert reasons(applied) == {1: (Reason.RESULT_CONFLICT, False)}
    later = await apply(world, completed(event_id="c", result_version=2, results=other))
    assert reasons(later) == {0: (Reason.RESULT_CONFLICT, False)}
    assert paid(world.settled[0].lines)["ann"] == 5_000
    assert len(world.settled) == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"competition": "unheard"}, Reason.COMPETITION_UNKNOWN),
        ({"source": "/games/forged"}, Reason.SOURCE_NOT_ALLOWED),
        ({"subject": "m2"}, Reason.SCHEMA_INVALID),
        ({"results": placed("ann", "bob") + placed("ann")}, Reason.DUPLICATE_PLAYER),
        ({"results": (PlayerResult("ann", None, {"points": 1}),)}, Reason.SCORE_MISSING),
        ({"part": 3, "parts": 2}, Reason.SCHEMA_INVALID),
        ({"parts": PARTS_MAX + 1}, Reason.SCHEMA_INVALID),
    ],
)
async def test_bad_reports_are_dead_and_their_neighbours_settled(
    world: FakeWorld, bad: dict[str, Any], reason: Reason
) -> None:
    """The refused report leaves no round, no step and no event; those around it are settled."""
    applied = await apply(world, completed("before"), completed("m1", **bad), completed("after"))
    assert reasons(applied) == {1: (reason, False)}
    assert sorted(one.match_id for one in world.held.values()) == ["after", "before"]
    assert {event.round.match_id for event in world.published} == {"before", "after"}


async def test_a_tie_is_refused_where_the_rule_says_so() -> None:
    """The reason is tie_refused; without ties the same match settles."""
    world = FakeWorld()
    world.add(make_competition(ties=TiePolicy.REFUSE))
    applied = await apply(world, completed(results=placed(ann=1, bob=1)), completed(event_id="b"))
    assert reasons(applied) == {0: (Reason.TIE_REFUSED, False)}
    assert world.round_of("m1").state is RoundState.FINALIZED


async def test_a_score_missing_names_the_ranking_score() -> None:
    """Where the rule ranks by a score, a place is not enough."""
    world = FakeWorld()
    world.add(make_competition(rank_by=RankBy(score="points")))
    applied = await apply(world, completed())
    assert reasons(applied) == {0: (Reason.SCORE_MISSING, False)}
    assert "points" in applied.refused[0].detail


def signed_competition(**key: Any) -> FakeWorld:
    world = FakeWorld()
    world.add(make_competition(sources=(Source(source=SOURCE, keys=(source_key(**key),)),)))
    return world


@pytest.mark.parametrize(
    ("key", "changes", "reason"),
    [
        ({}, {}, Reason.SIGNATURE_MISSING),
        ({}, {"signed_by": OTHER_KEY}, Reason.KEY_NOT_TRUSTED),
        ({}, {"signed_by": OTHER_KEY, "keyid": KEY.keyid}, Reason.SIGNATURE_INVALID),
        ({"not_after": NOW - timedelta(seconds=3)}, {"signed_by": KEY}, Reason.KEY_NOT_TRUSTED),
        ({"not_before": NOW}, {"signed_by": KEY}, Reason.KEY_NOT_TRUSTED),
    ],
    ids=["unsigned", "unlisted key", "forged", "expired", "not yet valid"],
)
async def test_forged_and_unsigned_results_are_refused(
    key: dict[str, Any], changes: dict[str, Any], reason: Reason
) -> None:
    """Where a competition pins keys, its results need a signature by one of them, inside its validity."""
    world = signed_competition(**key)
    assert reasons(await apply(world, completed(**changes))) == {0: (reason, False)}
    assert not world.held


async def test_rotated_keys_overlap() -> None:
    """Two keys of one source are valid at the same time; a removed key is refused at once."""
    world = FakeWorld()
    both = make_rule(sources=(Source(source=SOURCE, keys=(source_key(KEY), source_key(OTHER_KEY))),))
    world.add(make_competition(both))
    applied = await apply(world, completed("m1", signed_by=KEY), completed("m2", signed_by=OTHER_KEY))
    assert reasons(applied) == {}
    world.add(
        make_competition(
            replace(both, version=2, sources=(Source(source=SOURCE, keys=(source_key(OTHER_KEY),)),))
        )
    )
    applied = await apply(
        world, completed("m1", event_id="x", signed_by=KEY), completed("m3", signed_by=OTHER_KEY)
    )
    assert reasons(applied) == {0: (Reason.KEY_NOT_TRUSTED, False)}


async def test_the_first_event_binds_the_correlation_id(world: FakeWorld) -> None:
    """Another id for the match is refused, in the same batch and later; a report without one gets the round's."""
    applied = await apply(world, opened(), closed(correlation_id="other"))
    assert reasons(applied) == {1: (Reason.CORRELATION_MISMATCH, False)}
    assert reasons(await apply(world, completed(correlation_id="other"))) == {
        0: (Reason.CORRELATION_MISMATCH, False)
    }
    assert reasons(await apply(world, completed(correlation_id=None))) == {}
    assert world.round_of("m1").correlation_id == "corr-m1"


async def test_without_a_correlation_id_one_is_derived(world: FakeWorld) -> None:
    """From source and match, the same at every run."""
    await apply(world, completed(correlation_id=None))
    assert world.round_of("m1").correlation_id == str(match_correlation_id(source=SOURCE, match_id="m1"))


async def test_a_match_stays_in_its_competition(world: FakeWorld) -> None:
    """A result that moves a known match into another competition is refused."""
    world.add(make_competition(competition="other"))
    applied = await apply(world, opened(), completed(competition="other"))
    assert reasons(applied) == {1: (Reason.EVENT_MISMATCH, False)}


async def test_two_sources_may_have_matches_of_one_name() -> None:
    """A round belongs to source and match together."""
    world = FakeWorld()
    world.add(make_competition(sources=(Source(source=SOURCE), Source(source="/games/go"))))
    applied = await apply(world, completed(), completed(source="/games/go", correlation_id="corr-go"))
    assert reasons(applied) == {}
    assert len(world.held) == 2


async def test_a_round_keeps_the_rule_it_began_under(world: FakeWorld) -> None:
    """A rule that changes between opening and result counts for new rounds only."""
    await apply(world, opened())
    world.add(make_competition(make_rule(version=2, gross=500)))
    await apply(world, completed("m1"), completed("m2"))
    assert [(s.rule.version, s.fees.gross) for s in world.settled] == [(1, 10_000), (2, 500)]


async def test_a_result_in_parts_waits_until_it_is_whole(world: FakeWorld) -> None:
    """Nothing is settled before the last part; then everything at once, in the order of the parts."""
    first = completed(event_id="p1", part=1, parts=3, results=placed("ann"))
    second = completed(event_id="p2", part=2, parts=3, results=placed(bob=2))
    third = completed(event_id="p3", part=3, parts=3, results=placed(cyd=3))
    await apply(world, third)
    assert world.round_of("m1").state is RoundState.CLOSED
    assert not world.published
    await apply(world, first)
    assert not world.settled
    await apply(world, second)
    assert paid(world.settled[0].lines) == {"ann": 5_000, "bob": 3_000, "cyd": 2_000}
    assert [event.caused_by for event in world.published] == ["p2"]
    again = replace(second, event_id="p2-again")
    assert reasons(await apply(world, again)) == {}
    other = replace(second, event_id="p2-other", results=placed(eve=2))
    assert reasons(await apply(world, other)) == {0: (Reason.RESULT_CONFLICT, False)}


async def test_parts_in_one_batch_make_a_whole(world: FakeWorld) -> None:
    """The parts of one match may all stand in one batch, the same part twice among them."""
    first = completed(event_id="p1", part=1, parts=2, results=placed("ann"))
    second = completed(event_id="p2", part=2, parts=2, results=placed(bob=2))
    assert reasons(await apply(world, first, replace(first, event_id="p1-again"), second)) == {}
    assert len(world.settled) == 1


async def test_a_part_sent_again_replaces_the_one_that_waits(world: FakeWorld) -> None:
    """A result that was refused as a whole can be sent again, whole or in another cut."""
    await apply(world, completed(event_id="p1", part=1, parts=2, results=placed("ann")))
    twice = completed(event_id="p2", part=2, parts=2, results=placed("ann"))
    assert reasons(await apply(world, twice)) == {0: (Reason.DUPLICATE_PLAYER, False)}
    assert world.round_of("m1").state is RoundState.CLOSED
    first = completed(event_id="q1", part=1, parts=2, results=placed("bob"))
    assert reasons(await apply(world, first, replace(twice, event_id="q2"))) == {}
    assert set(paid(world.settled[0].lines)) == {"ann", "bob"}


async def test_parts_of_another_cut_are_not_mixed(world: FakeWorld) -> None:
    """Two of three parts and one of two do not make a result."""
    await apply(world, completed(event_id="p1", part=1, parts=3, results=placed("ann")))
    await apply(world, completed(event_id="p2", part=2, parts=2, results=placed(bob=2)))
    assert not world.settled
    await apply(world, completed(event_id="q1", part=1, parts=2, results=placed("cyd")))
    assert paid(world.settled[0].lines) == {"cyd": 5_000, "bob": 3_000}


async def test_parts_of_another_result_version_are_not_mixed(world: FakeWorld) -> None:
    """Part 1 of the first attempt and part 2 of the second do not make a result."""
    await apply(world, completed(event_id="p1", part=1, parts=2, results=placed("ann")))
    second = completed(event_id="p2", part=2, parts=2, result_version=2, results=placed(bob=2))
    await apply(world, second)
    assert not world.settled


async def test_a_bad_part_is_refused_at_once(world: FakeWorld) -> None:
    """A player who stands twice in one part is found before the others come, and the part does not wait."""
    bad = completed(part=1, parts=2, results=placed("ann") + placed("ann"))
    assert reasons(await apply(world, bad)) == {0: (Reason.DUPLICATE_PLAYER, False)}
    assert not world.held


async def test_the_whole_in_another_cut_is_another_result(world: FakeWorld) -> None:
    """A settled match takes no first part of two, though its players are the same."""
    await apply(world, completed())
    part = completed(event_id="p1", part=1, parts=2)
    assert reasons(await apply(world, part)) == {0: (Reason.RESULT_CONFLICT, False)}


async def test_a_large_settlement_goes_out_in_parts(world: FakeWorld) -> None:
    """Versions without gaps, every line once, all parts of one settlement."""
    await apply(world, completed(results=placed(*(f"p{n}" for n in range(7)))), lines_per_part=2)
    events = [event for event in world.published if isinstance(event, RoundSettled)]
    assert [(event.version, event.part, event.settlement.parts) for event in events] == [(1, 1, 2), (2, 2, 2)]
    assert [line.line for event in events for line in event.lines] == [1, 2, 3]
    assert world.round_of("m1").version == 2


async def test_nothing_to_pay_is_one_part_without_lines() -> None:
    """A prize of zero is settled, and says so."""
    world = FakeWorld()
    world.add(make_competition(gross=0))
    await apply(world, completed())
    (event,) = world.published
    assert isinstance(event, RoundSettled)
    assert (event.lines, event.settlement.parts, event.settlement.fees.net) == ((), 1, 0)


async def test_rounds_become_final_when_the_window_has_passed() -> None:
    """Not before, once, by settlement itself; a dispute that waits holds finality."""
    world = FakeWorld()
    world.add(make_competition(dispute_window=timedelta(hours=1)))
    await apply(world, completed("m1"), completed("m2"))
    assert {one.state for one in world.held.values()} == {RoundState.SETTLED}
    assert not any(settlement.final for settlement in world.settled)
    world.disputed.add((SOURCE, "m2"))

    async def finalize(after: timedelta) -> int:
        return await finalize_due(
            unit_of_work=world.unit_of_work(), now=NOW + after, actor="/prizewire/settlement"
        )

    assert await finalize(timedelta(minutes=59)) == 0
    assert await finalize(timedelta(hours=1)) == 1
    assert await finalize(timedelta(hours=2)) == 0
    event = world.published[-1]
    assert isinstance(event, RoundFinalized)
    assert (event.version, event.settlement_version, event.round.match_id) == (2, 1, "m1")
    assert world.steps[-1].cause.actor == "/prizewire/settlement"
    world.disputed.clear()
    assert await finalize(timedelta(hours=2)) == 1


def test_a_refusal_says_its_reason() -> None:
    """The error's text begins with the code that people search for."""
    assert str(ReportRefused(Reason.TIE_REFUSED, "why")).startswith("tie_refused")


def changed(world: FakeWorld, version: int, *sources: Source, by: str) -> None:
    """Version ``version`` of the cup's rule, with these sources."""
    writers = tuple(sorted({*world.versions["cup", version - 1].writers, by}))
    world.add(make_competition(make_rule(version=version, sources=sources, writers=writers)), by=by)


KEYED = Source(source=SOURCE, keys=(source_key(KEY),))
OPEN = Source(source=SOURCE)


async def test_an_admin_whose_change_admits_a_result_reports_it(world: FakeWorld) -> None:
    """The rule's keys are taken out after the match was opened: the writer of that version is a rule writer, and the one
    who reported the unsigned result. Who only renames the competition afterwards is neither.
    """
    world.add(make_competition(make_rule(sources=(KEYED,))))
    await apply(world, opened(signed_by=KEY))
    changed(world, 2, OPEN, by="mallory")
    changed(world, 3, OPEN, by="bob")
    assert reasons(await apply(world, completed())) == {}
    (settled,) = world.settled
    assert (settled.rule.version, settled.rule.writers) == (1, ("mallory", "olga"))
    assert settled.reporters == ("mallory",)
    assert world.versions["cup", 1].writers == ("olga",)


@pytest.mark.parametrize(
    ("later", "signed_by", "reporter", "writers"),
    [
        pytest.param([(KEYED, "bob")], KEY, None, ("olga",), id="renamed alone"),
        pytest.param(
            [(OPEN, "mallory")], KEY, None, ("mallory", "olga"), id="signed as the round's rule asks"
        ),
        pytest.param(
            [(Source(source=SOURCE, keys=(source_key(OTHER_KEY),)), "mallory")],
            OTHER_KEY,
            "mallory",
            ("mallory", "olga"),
            id="another key",
        ),
        pytest.param(
            [(Source(source=SOURCE, keys=(source_key(OTHER_KEY),)), "bob"), (KEYED, "mallory")],
            KEY,
            "mallory",
            ("bob", "mallory", "olga"),
            id="a key that was taken out stands again",
        ),
        pytest.param(
            [(OPEN, "mallory"), (KEYED, "bob")],
            KEY,
            None,
            ("bob", "mallory", "olga"),
            id="keys that were taken out stand again",
        ),
    ],
)
async def test_the_version_that_admits_a_result_names_its_reporter(
    world: FakeWorld,
    later: list[tuple[Source, str]],
    signed_by: Any,
    reporter: str | None,
    writers: tuple[str, ...],
) -> None:
    """No writer is named if the round's own rule admits it and no later version refused it."""
    world.add(make_competition(make_rule(sources=(KEYED,))))
    await apply(world, opened(signed_by=KEY))
    for version, (source, by) in enumerate(later, start=2):
        changed(world, version, source, by=by)
    assert reasons(await apply(world, completed(signed_by=signed_by))) == {}
    (settled,) = world.settled
    assert settled.reporters == (() if reporter is None else (reporter,))
    assert settled.rule.writers == writers


async def test_an_admin_who_admits_a_source_is_a_writer_beside_its_reporter(world: FakeWorld) -> None:
    """A token's issuer stays the reporter; with the same person as later writer, one person alone reported."""
    world.add(make_competition(make_rule(sources=(KEYED,))))
    await apply(world, opened(signed_by=KEY))
    changed(world, 2, OPEN, by="mallory")
    await apply(world, completed(reporter="ada"))
    (settled,) = world.settled
    assert (settled.rule.writers, settled.reporters) == (("mallory", "olga"), ("ada",))


async def test_parts_keep_their_admitters(world: FakeWorld) -> None:
    """A part that was let in while the keys were out, and another after they stand again: both in one result."""
    world.add(make_competition(make_rule(sources=(KEYED,))))
    await apply(world, opened(signed_by=KEY))
    changed(world, 2, OPEN, by="mallory")
    await apply(world, completed(parts=2, results=placed("eve")))
    changed(world, 3, KEYED, by="ada")
    second = [PlayerResult("bob", 2, {})]
    await apply(world, completed(event_id="m1-2", part=2, parts=2, results=tuple(second), signed_by=KEY))
    (settled,) = world.settled
    assert (settled.rule.writers, settled.reporters) == (("ada", "mallory", "olga"), ("mallory",))


async def test_a_correction_is_admitted_like_a_result(world: FakeWorld) -> None:
    """Its writers and reporter are those of the correction's own admission."""
    world.add(make_competition(make_rule(sources=(KEYED,), dispute_window=timedelta(hours=1))))
    await apply(world, completed(signed_by=KEY))
    rule = make_rule(version=2, sources=(OPEN,), dispute_window=timedelta(hours=1))
    world.add(make_competition(rule), by="mallory")
    await apply(world, corrected(results=placed("eve")))
    first, second = world.settled
    assert (first.rule.writers, first.reporters) == (("olga",), ())
    assert (second.rule.writers, second.reporters) == (("mallory", "olga"), ("mallory",))
