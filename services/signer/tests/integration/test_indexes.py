"""Every index has a query that needs it."""

from collections.abc import AsyncIterator

import pytest

from prizewire_chassis.stuck_events import replays
from prizewire_chassis.testing import (
    IndexTests,
    Statement,
    UniqueOnly,
    chassis_queries,
    needed,
    with_literals,
)
from prizewire_devstack.testing import DatabaseFactory
from prizewire_signer.storage import checks, closing, signing

QUERIES: dict[str, Statement | UniqueOnly] = {
    **chassis_queries(),
    "digests_slot_id": signing._DIGEST_COUNT,
    "digest_payouts_payout_id": signing._PAYOUTS,
    "limit_counts_day": checks._DAYS,
    "answers_closed": checks._CLOSINGS,
    "payouts_closed_on": checks._DAYS,
    "payouts_free_at": checks._NOT_FREE,
    "payouts_slot_id": closing._SLOT_PAYOUTS,
    "signing_work_due": signing._CLAIM,
    "stuck_events_correlation": with_literals(replays._PAGE, correlation_id="'x'"),
    "stuck_events_parked": replays._HEAD_ID,
}
"""Index; a query that needs it."""


@pytest.fixture(scope="module")
async def indexes(make_module_database: DatabaseFactory) -> AsyncIterator[IndexTests]:
    """A database with the service's tables."""
    opened = await IndexTests.open(make_module_database("signer", migrated=True).migration)
    yield opened
    await opened.close()


async def test_every_index_names_its_query(indexes: IndexTests) -> None:
    """An index without a query is found, and so is a query whose index was dropped."""
    await indexes.check_listed(QUERIES)


@pytest.mark.parametrize("index", needed(QUERIES))
async def test_the_query_needs_its_index(indexes: IndexTests, index: str) -> None:
    """The plan of the query uses the index, and costs more without it."""
    await indexes.check_needed(index, QUERIES[index])
