"""Random reports about rounds in any order, compared with a small model of the expected results."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from prizewire_contracts.ids import round_id
from prizewire_settlement.competitions.domain.model import EntryFee
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.prizes.domain import PlayerResult
from prizewire_settlement.rounds.domain.model import (
    EDGES,
    RoundCorrected,
    RoundFinalized,
    RoundSettled,
    RoundState,
)
from prizewire_settlement.rounds.handlers.resolution import finalize_due, resolve_round
from services.settlement.tests.fakes import (
    EURC,
    NOW,
    SOURCE,
    FakeWorld,
    apply,
    closed,
    completed,
    corrected,
    entered,
    make_competition,
    opened,
    placed,
    reasons,
    voided,
)

PLAYERS = ("ann", "bob", "cyd", "dan", "eve")
PRIZES = (5_000, 3_000, 2_000)
WINDOW = timedelta(minutes=1)
MATCHES = ("m1", "m2")
matches = st.sampled_from(MATCHES)
RANKINGS = tuple(tuple(one) for one in ("ABCDE", "ABCED", "BACDE", "CBADE", "DEABC"))
rankings = st.sampled_from(
    [tuple(PLAYERS["ABCDE".index(letter)] for letter in ranking) for ranking in RANKINGS]
)
"""Few, so that results repeat; the first two pay the same."""
versions = st.integers(1, 4)


@dataclass
class Model:
    """The expected state of a match: its state, its result, its prizes and its entries."""

    state: RoundState = RoundState.NEW
    ranking: tuple[str, ...] | None = None
    result_version: int = 0
    results: dict[int, tuple[str, ...]] = field(default_factory=dict)
    settlements: int = 0
    final_at: datetime | None = None
    entered: set[str] = field(default_factory=set)

    @property
    def lines(self) -> dict[str, int]:
        return dict(zip(self.ranking or (), PRIZES, strict=False))

    def stand(self, ranking: tuple[str, ...], version: int, *, final: bool = False) -> None:
        """A ranking is the result from now on; only other prizes are another settlement."""
        before = self.lines
        self.ranking, self.result_version = ranking, version
        self.results[version] = ranking
        if not self.settlements or self.lines != before:
            self.settlements += 1
        if not final:
            self.state = RoundState.SETTLED


class RoundsMachine(RuleBasedStateMachine):
    """Two matches over fakes; every answer and every state is the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = FakeWorld()
        self.world.add(make_competition(dispute_window=WINDOW, entry_fee=EntryFee(asset=EURC, amount=100)))
        self.now = NOW
        self.models = {name: Model() for name in MATCHES}
        self.numbers = 0

    def teardown(self) -> None:
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def send(self, *, expected: Reason | None, park: bool = False, **made: Any) -> None:
        """Report something under a new id, and expect the outcome of the model."""
        self.numbers += 1
        sent = made["report"](made.pop("match_id"), event_id=f"e{self.numbers}", **made.pop("fields", {}))
        applied = self.run(apply(self.world, sent, now=self.now))
        assert reasons(applied) == ({} if expected is None else {0: (expected, park)})

    @rule(match_id=matches)
    def open(self, match_id: str) -> None:
        model = self.models[match_id]
        voided_ = model.state is RoundState.VOIDED
        self.send(report=opened, match_id=match_id, expected=Reason.ILLEGAL_TRANSITION if voided_ else None)
        if model.state is RoundState.NEW:
            model.state = RoundState.OPEN

    @rule(match_id=matches)
    def close(self, match_id: str) -> None:
        model = self.models[match_id]
        voided_ = model.state is RoundState.VOIDED
        self.send(report=closed, match_id=match_id, expected=Reason.ILLEGAL_TRANSITION if voided_ else None)
        if model.state in (RoundState.NEW, RoundState.OPEN):
            model.state = RoundState.CLOSED

    @rule(match_id=matches, player=st.sampled_from(PLAYERS))
    def enter(self, match_id: str, player: str) -> None:
        model = self.models[match_id]
        expected = None
        if player not in model.entered:
            if model.state in (RoundState.NEW, RoundState.OPEN):
                model.entered.add(player)
                model.state = RoundState.OPEN
            else:
                expected = Reason.ILLEGAL_TRANSITION

        def made(match_id: str, **fields: Any) -> Any:
            return entered(player, match_id, **fields)

        self.send(report=made, match_id=match_id, expected=expected)

    @rule(match_id=matches, ranking=rankings, version=versions)
    def complete(self, match_id: str, ranking: tuple[str, ...], version: int) -> None:
        model = self.models[match_id]
        expected = None
        if model.state is RoundState.VOIDED:
            expected = Reason.ILLEGAL_TRANSITION
        elif model.state in (RoundState.SETTLED, RoundState.FINALIZED):
            if ranking != model.ranking:
                expected = Reason.RESULT_CONFLICT
        else:
            model.stand(ranking, version)
            model.final_at = self.now + WINDOW
        fields = {"results": placed(*ranking), "result_version": version}
        self.send(report=completed, match_id=match_id, expected=expected, fields=fields)

    @rule(match_id=matches, ranking=rankings, version=versions)
    def correct(self, match_id: str, ranking: tuple[str, ...], version: int) -> None:
        model = self.models[match_id]
        expected, park = None, False
        if model.state in (RoundState.NEW, RoundState.OPEN, RoundState.CLOSED):
            expected, park = Reason.RESULT_MISSING, True
        elif model.state is RoundState.VOIDED:
            expected = Reason.ILLEGAL_TRANSITION
        elif version <= model.result_version:
            if model.results.get(version) != ranking:
                expected = Reason.RESULT_CONFLICT
        elif model.state is RoundState.FINALIZED or self.now >= (model.final_at or self.now):
            expected = Reason.DISPUTE_WINDOW_PASSED
        else:
            model.stand(ranking, version)
        fields = {"results": placed(*ranking), "result_version": version}
        self.send(report=corrected, match_id=match_id, expected=expected, park=park, fields=fields)

    @rule(match_id=matches)
    def void(self, match_id: str) -> None:
        model = self.models[match_id]
        final = model.state is RoundState.FINALIZED
        self.send(report=voided, match_id=match_id, expected=Reason.ILLEGAL_TRANSITION if final else None)
        if not final:
            model.state = RoundState.VOIDED

    @rule(match_id=matches, ranking=st.none() | rankings)
    def resolve(self, match_id: str, ranking: tuple[str, ...] | None) -> None:
        """An admin decides, also after finality: ``None`` voids."""
        model = self.models[match_id]
        if model.state is RoundState.NEW:
            return
        self.numbers += 1
        may = model.state is not RoundState.VOIDED
        if ranking is None:
            may = model.state is not RoundState.FINALIZED
        results: tuple[PlayerResult, ...] | None = None if ranking is None else placed(*ranking)
        work = resolve_round(
            round_id=round_id(source=SOURCE, match_id=match_id),
            results=results,
            reason="appeal",
            actor="ada",
            request_id=uuid5(NAMESPACE_URL, str(self.numbers)),
            unit_of_work=self.world.unit_of_work(),
            now=self.now,
            lines_per_part=2,
        )
        if not may:
            with pytest.raises(ReportRefused):
                self.run(work)
            return
        self.run(work)
        if ranking is None:
            model.state = RoundState.VOIDED
            return
        first = not model.settlements
        model.stand(ranking, model.result_version + 1, final=model.state is RoundState.FINALIZED)
        if first:
            model.final_at = self.now + WINDOW

    @rule(seconds=st.sampled_from([20, 61]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def look_for_the_due(self) -> None:
        self.run(finalize_due(unit_of_work=self.world.unit_of_work(), now=self.now, actor="job"))
        for model in self.models.values():
            if (
                model.state is RoundState.SETTLED
                and model.final_at is not None
                and model.final_at <= self.now
            ):
                model.state = RoundState.FINALIZED

    @invariant()
    def states_and_prizes_are_the_models(self) -> None:
        allowed = {(edge.before, edge.after) for edge in EDGES}
        for match_id, model in self.models.items():
            key = round_id(source=SOURCE, match_id=match_id)
            found = self.world.held.get(key)
            if found is None:
                assert model.state is RoundState.NEW
                continue
            assert (found.state, found.settlement_version) == (model.state, model.settlements)
            steps = [(step.before, step.after) for step in self.world.steps if step.round_id == key]
            assert set(steps) <= allowed
            assert [after for _, after in steps[:-1]] == [before for before, _ in steps[1:]]
            own = [event for event in self.world.published if event.round.id == key]
            assert [event.version for event in own] == list(range(1, len(own) + 1))
            assert {entry.player for entry in self.world.entries if entry.round_id == key} == model.entered
            settled = [one for one in self.world.settled if one.round_id == key]
            if settled:
                newest = settled[-1]
                assert {line.player: line.amount for line in newest.lines} == model.lines
                assert newest.fees.net == sum(line.amount for line in newest.lines) + newest.unclaimed
            settlements = [event for event in own if isinstance(event, RoundSettled | RoundCorrected)]
            assert {event.settlement.version for event in settlements} == {one.version for one in settled}
            final = [event for event in own if isinstance(event, RoundFinalized)]
            assert len(final) == (found.state is RoundState.FINALIZED)


def test_any_order_of_reports_gives_what_the_model_says() -> None:
    """For any reports in any order, state, prizes and refusals are those of the model."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call] # Hypothesis is not typed here
        RoundsMachine, settings=settings(max_examples=150, stateful_step_count=40)
    )
