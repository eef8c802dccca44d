"""Ties and unclaimed prizes of rules in the database, and the rows that it refuses."""

import asyncpg
import pytest

from services.settlement.tests.service import Service

_SHARED = (
    "competition_id, campaign, asset, gross, platform_bps, organizer_bps, organizer_player, template, places, "
    "per_point, rank_score, rank_descending, sources, dispute_window_s, created_by, created_at"
)
"""The columns that every version of this service writes, but for version and ties."""


async def write(service: Service, columns: str, values: str) -> None:
    """A second version of the rule of `cup`, inserted without the code of the service."""
    connection = await asyncpg.connect(service.urls.runtime)
    try:
        await connection.execute(
            f"INSERT INTO competition_rules ({_SHARED}, version, {columns}) "
            f"SELECT {_SHARED}, 2, {values} FROM competition_rules WHERE version = 1"
        )
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("ties", "'break'"),
        ("ties, tie_score", "'split', 'kills'"),
        ("ties, tie_score", "'refuse', 'kills'"),
        ("ties", "'coin'"),
        ("ties, unclaimed", "'split', 'burn'"),
        ("ties, unclaimed", "'split', NULL"),
        ("ties, tie_score, tie_descending", "'break', 'kills', NULL"),
    ],
)
async def test_contradictory_rules_are_refused(service: Service, columns: str, values: str) -> None:
    """A score needs its policy, and every value is one of the known ones."""
    with pytest.raises((asyncpg.CheckViolationError, asyncpg.NotNullViolationError)):
        await write(service, columns, values)
    assert await service.count("competition_rules") == 1


async def test_a_rule_without_the_newer_columns_has_their_defaults(service: Service) -> None:
    """A row without the newer columns splits ties and returns unclaimed prizes to the pool."""
    await write(service, "ties", "'refuse'")
    answer = await service.client.get("/api/competitions/cup/rules/2", headers=service.as_("admin"))
    assert answer.json()["ties"] == {"policy": "refuse", "score": None, "order": None}
    assert answer.json()["unclaimed"] == "pool"


async def test_a_rule_that_breaks_ties_is_stored(service: Service) -> None:
    """The row that the code writes passes."""
    await write(service, "ties, tie_score, tie_descending, unclaimed", "'break', 'kills', false, 'spread'")
    answer = await service.client.get("/api/competitions/cup/rules/2", headers=service.as_("admin"))
    assert answer.json()["ties"] == {"policy": "break", "score": "kills", "order": "asc"}
    assert answer.json()["unclaimed"] == "spread"
