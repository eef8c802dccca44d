"""Every index has a query that needs it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from prizewire_chassis.stuck_events import replays
from prizewire_chassis.testing import (
    IndexTests,
    Statement,
    UniqueOnly,
    chassis_queries,
    needed,
    sent_by,
    with_literals,
)
from prizewire_devstack.testing import DatabaseFactory
from prizewire_settlement.competitions import storage as competitions
from prizewire_settlement.rounds.ports import RoundFilter
from prizewire_settlement.rounds.storage import queries, rounds
from prizewire_settlement.source_tokens import storage as tokens


def listing(**wanted: Any) -> str:
    """A page of rounds, as ``GET /api/rounds`` reads it."""
    return sent_by(
        lambda tx: queries.PostgresQueries(tx, rules=None).round_page(
            RoundFilter(**wanted), after=None, limit=50
        )  # type: ignore[arg-type] # it sends no rules
    )


QUERIES: dict[str, Statement | UniqueOnly] = {
    **chassis_queries(),
    "competitions_recent": competitions._COMPETITION_PAGE,
    "round_transitions_ended": queries._ENDED,
    "rounds_correlation": queries._ROUNDS_OF,
    "rounds_due": rounds._DUE,
    "rounds_incomplete": queries._INCOMPLETE,
    "rounds_of_competition": listing(competition="x"),
    "rounds_recent": listing(),
    "rounds_refused": listing(refused=True),
    "rounds_unsettled": with_literals(queries._OPEN_COUNTS, most="1000000"),
    "source_tokens_recent": tokens._PAGE,
    "stuck_events_correlation": with_literals(replays._PAGE, correlation_id="'x'"),
    "stuck_events_parked": replays._HEAD_ID,
}
"""Index; a query that needs it."""
ROWS = {
    "competitions": (
        "INSERT INTO competitions (id, name, rule_version, created_by, created_at, updated_at) "
        "SELECT 'competition-' || n, '', 1, 'ann', now(), now() FROM generate_series(1, 1000) n"
    ),
    "assets": "INSERT INTO assets (code, decimals, redeemable) VALUES ('TEST', 2, true)",
    "competition_rules": (
        "INSERT INTO competition_rules (competition_id, version, campaign, asset, gross, platform_bps, organizer_bps, "
        "places, ties, rank_descending, sources, dispute_window_s, created_by, created_at) "
        "SELECT id, 1, gen_random_uuid(), 'TEST', 0, 0, 0, '[]', 'split', true, '[]', 0, 'ann', now() FROM competitions"
    ),
}
"""The plan of a list of competitions begins with the rules while both tables are empty."""


@pytest.fixture(scope="module")
async def indexes(make_module_database: DatabaseFactory) -> AsyncIterator[IndexTests]:
    """A database with the service's tables and these rows."""
    opened = await IndexTests.open(make_module_database("settlement", migrated=True).migration)
    await opened.fill(ROWS)
    yield opened
    await opened.close()


async def test_every_index_names_its_query(indexes: IndexTests) -> None:
    """An index without a query is found, and so is a query whose index was dropped."""
    await indexes.check_listed(QUERIES)


@pytest.mark.parametrize("index", needed(QUERIES))
async def test_the_query_needs_its_index(indexes: IndexTests, index: str) -> None:
    """The plan of the query uses the index, and costs more without it."""
    await indexes.check_needed(index, QUERIES[index])
