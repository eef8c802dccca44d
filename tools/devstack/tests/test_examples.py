"""The examples equal the published figures, and their sums are right before any service processes them."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from prizewire_devstack.demo.tournaments import NAMES, Tournament, load_all
from prizewire_devstack.home import repository_root

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def tournaments() -> dict[str, Tournament]:
    loaded = load_all(repository_root() / "examples", run="r1", now=NOW)
    return {tournament.name: tournament for tournament in loaded}


def competition(tournament: Tournament) -> dict[str, Any]:
    declared: dict[str, Any] = tournament.declaration["competitions"][0]
    return declared


def results(tournament: Tournament) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tournament.events[-1]["data"]["results"]
    return found


def fixed_places(tournament: Tournament) -> Decimal:
    return sum(
        (Decimal(row["amount_each"]) for row in competition(tournament)["template"]["table"]), Decimal(0)
    )


def test_the_candidates_sum_to_their_prize_fund(tournaments: dict[str, Tournament]) -> None:
    """Places and half-points together are exactly the published 500,000."""
    candidates = tournaments["candidates-2024"]
    half_points = sum(Decimal(one["scores"]["points"]) * 2 for one in results(candidates))
    assert half_points == 112
    assert (
        fixed_places(candidates) + half_points * 3500
        == Decimal(competition(candidates)["gross_prize"])
        == 500000
    )


def test_three_candidates_share_second_place(tournaments: dict[str, Tournament]) -> None:
    """The tie that makes the example interesting."""
    points = Counter(one["scores"]["points"] for one in results(tournaments["candidates-2024"]))
    assert points["8.5"] == 3


def test_the_purse_is_the_published_one(tournaments: dict[str, Tournament]) -> None:
    """Seventy places, 14,495,600 dollars."""
    golf = tournaments["pga-2022-leaderboard"]
    assert len(competition(golf)["template"]["table"]) == 70
    assert fixed_places(golf) == Decimal(competition(golf)["gross_prize"]) == 14_495_600


def test_a_made_tie_lies_across_the_last_paid_place(tournaments: dict[str, Tournament]) -> None:
    """The shared sum has no prize after the last paid place."""
    golf = results(tournaments["pga-2022-leaderboard"])
    strokes = sorted(int(one["scores"]["strokes"]) for one in golf)
    assert len(strokes) == 100
    assert strokes[68] == strokes[69] == strokes[70]


@pytest.mark.parametrize("name", NAMES)
def test_every_player_in_a_result_is_introduced(name: str, tournaments: dict[str, Tournament]) -> None:
    """Each player has a name to show and a rail to be paid over."""
    tournament = tournaments[name]
    assert {one["player"] for one in results(tournament)} <= tournament.players.keys()


def test_some_players_are_paid_over_another_rail(tournaments: dict[str, Tournament]) -> None:
    """More than one rail is shown."""
    rails = Counter(player.rail for one in tournaments.values() for player in one.players.values())
    assert rails.keys() == {"stellar", "fake", "manual"}


def test_every_run_is_a_new_match() -> None:
    """State is kept between runs, and a match is settled once."""
    directory = repository_root() / "examples"
    first, second = (load_all(directory, run=run, now=NOW) for run in ("r1", "r2"))
    for before, after in zip(first, second, strict=True):
        assert before.match_id != after.match_id
        assert before.correlation_id != after.correlation_id
        assert before.campaign != after.campaign
