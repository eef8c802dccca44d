"""Matches that do not count, and players who enter, over fakes."""

from datetime import timedelta

import pytest

from prizewire_contracts.ids import entry_id
from prizewire_settlement.competitions.domain.model import EntryFee
from prizewire_settlement.errors import Reason
from prizewire_settlement.rounds.domain.model import (
    MatchReport,
    RoundEntered,
    RoundProgressed,
    RoundState,
    RoundVoided,
)
from services.settlement.tests.fakes import (
    EURC,
    SOURCE,
    FakeWorld,
    apply,
    closed,
    completed,
    entered,
    make_competition,
    make_rule,
    opened,
    placed,
    reasons,
    voided,
)

HOUR = timedelta(hours=1)
FEE = EntryFee(asset=EURC, amount=250)


@pytest.fixture
def world() -> FakeWorld:
    """`cup` has a dispute window and an entry fee of 2.50."""
    made = FakeWorld()
    made.add(make_competition(dispute_window=HOUR, entry_fee=FEE))
    return made


@pytest.mark.parametrize(
    ("before", "state"),
    [
        ((), RoundState.NEW),
        ((opened(),), RoundState.OPEN),
        ((closed(),), RoundState.CLOSED),
        ((completed(part=1, parts=2, results=placed("ann")),), RoundState.CLOSED),
        ((completed(),), RoundState.SETTLED),
    ],
    ids=["unknown", "open", "closed", "half a result", "settled"],
)
async def test_a_match_is_voided_until_it_is_final(
    world: FakeWorld, before: tuple[MatchReport, ...], state: RoundState
) -> None:
    """One step with its reason, one round.voided; an unknown match becomes a voided round."""
    if before:
        await apply(world, *before)
    assert reasons(await apply(world, voided())) == {}
    found, step, event = world.round_of("m1"), world.steps[-1], world.published[-1]
    assert (found.state, found.waiting_since) == (RoundState.VOIDED, None)
    assert (step.before, step.after, step.cause.reason) == (state, RoundState.VOIDED, "a judge said so")
    assert isinstance(event, RoundVoided)
    assert (event.reason, event.version) == ("a judge said so", found.version)


async def test_a_voided_round_takes_nothing_more(world: FakeWorld) -> None:
    """Results, openings and entries are dead, and park nothing; a second void has no effect."""
    await apply(world, voided())
    published = len(world.published)
    for late in (completed(), closed(), opened(), entered("ann")):
        assert reasons(await apply(world, late)) == {0: (Reason.ILLEGAL_TRANSITION, False)}
    assert reasons(await apply(world, voided(event_id="again"))) == {}
    assert len(world.published) == published


async def test_a_final_round_is_not_voided() -> None:
    """The report can never be applied: it is dead, and later reports of the match do not wait behind it."""
    world = FakeWorld()
    world.add(make_competition())
    applied = await apply(world, completed(), voided())
    assert reasons(applied) == {1: (Reason.ILLEGAL_TRANSITION, False)}
    assert world.round_of("m1").state is RoundState.FINALIZED


async def test_a_forged_void_is_dead(world: FakeWorld) -> None:
    """An unlisted source voids nothing."""
    applied = await apply(world, voided(source="/games/forged"))
    assert reasons(applied) == {0: (Reason.SOURCE_NOT_ALLOWED, False)}
    assert world.held == {}


async def test_players_enter_for_the_rules_fee(world: FakeWorld) -> None:
    """The first entry opens the match and publishes that; each event has player, fee and entry id."""
    assert reasons(await apply(world, entered("ann"), entered("bob"))) == {}
    first, second, third = world.published
    found = world.round_of("m1")
    assert isinstance(first, RoundProgressed)
    assert (first.state, first.entry_fee, first.version) == (RoundState.OPEN, FEE, 1)
    for event, player, version in ((second, "ann", 2), (third, "bob", 3)):
        assert isinstance(event, RoundEntered)
        assert (event.entry.player, event.entry.fee, event.version) == (player, FEE, version)
        assert event.entry.id == entry_id(round_id=found.id, player=player)
    assert (found.state, found.state_seq, found.version) == (RoundState.OPEN, 1, 3)


async def test_a_player_enters_once(world: FakeWorld) -> None:
    """Again in the same batch, later, and after the match closed: no further effect."""
    await apply(world, entered("ann"), entered("ann", event_id="b"))
    assert reasons(await apply(world, entered("ann", event_id="c"), closed())) == {}
    assert reasons(await apply(world, entered("ann", event_id="d"))) == {}
    assert [entry.player for entry in world.entries] == ["ann"]


async def test_a_closed_match_takes_no_players(world: FakeWorld) -> None:
    """An entry that comes late is dead."""
    applied = await apply(world, closed(), entered("ann"))
    assert reasons(applied) == {1: (Reason.ILLEGAL_TRANSITION, False)}
    assert world.entries == []


async def test_without_a_fee_nobody_enters(world: FakeWorld) -> None:
    """The refusal leaves no round; a fee that a later rule asks for does not count for a round that has begun."""
    world.add(make_competition(competition="free"))
    assert reasons(await apply(world, entered("ann", competition="free"))) == {
        0: (Reason.ENTRY_NOT_OFFERED, False)
    }
    assert world.held == {}
    await apply(world, opened(competition="free"))
    world.add(make_competition(make_rule(competition="free", version=2, entry_fee=FEE)))
    assert reasons(await apply(world, entered("ann", competition="free"))) == {
        0: (Reason.ENTRY_NOT_OFFERED, False)
    }


async def test_round_opened_has_the_fee(world: FakeWorld) -> None:
    """round.opened has the entry fee; a report of opening after an entry changes nothing."""
    await apply(world, opened("m1"))
    (event,) = world.published
    assert isinstance(event, RoundProgressed)
    assert event.entry_fee == FEE
    await apply(world, entered("ann", "m2"))
    count = len(world.published)
    assert reasons(await apply(world, opened("m2"))) == {}
    assert len(world.published) == count


async def test_entries_cost_one_question_for_a_batch(world: FakeWorld) -> None:
    """Three hundred entries of known rounds are looked up at once; batches without entries ask nothing."""
    await apply(world, opened())
    assert "entered" not in world.calls
    world.calls.clear()
    await apply(world, *(entered(f"p{n}") for n in range(300)))
    assert world.calls == ["competitions", "rounds", "entered", "save"]


async def test_two_sources_do_not_void_each_others_matches(world: FakeWorld) -> None:
    """A round belongs to source and match together."""
    await apply(world, completed())
    assert reasons(await apply(world, voided(source="/games/go"))) == {0: (Reason.SOURCE_NOT_ALLOWED, False)}
    assert world.round_of("m1", SOURCE).state is RoundState.SETTLED
