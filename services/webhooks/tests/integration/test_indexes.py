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
from prizewire_webhooks.outbound.storage import checks, deliveries, subscriptions

QUERIES: dict[str, Statement | UniqueOnly] = {
    **chassis_queries(),
    "attempts_delivered_once": UniqueOnly("a second successful attempt of a delivery"),
    "deliveries_correlation": deliveries._OF_CORRELATION,
    "deliveries_lane": deliveries._PICK,
    "deliveries_listing": deliveries._PAGE,
    "deliveries_open": deliveries._PICK,
    "stuck_events_correlation": with_literals(replays._PAGE, correlation_id="'x'"),
    "stuck_events_parked": replays._HEAD_ID,
    "subscriptions_listing": subscriptions._PAGE,
    "transitions_subject": checks._broken("delivery", "deliveries", "delivery_id"),
}
"""Index; a query that needs it."""
ROWS = {
    "subscriptions": (
        "INSERT INTO subscriptions (subscription_id, owner, url, event_types, state, failures, from_seq, created_at, "
        "changed_at) SELECT gen_random_uuid(), 'ann', 'https://x', '{x}', 'active', 0, 0, now(), now() "
        "FROM generate_series(1, 200)"
    ),
    "public_events": (
        "INSERT INTO public_events (event_id, source, type, subject, correlation_id, message, taken_at) "
        "SELECT 'event-' || n, '', 'x', '', 'match-' || n % 20, '', now() FROM generate_series(1, 100) n"
    ),
    "deliveries": (
        "INSERT INTO deliveries (subscription_id, event_id, correlation_id, state, attempts, refusals, due_at, "
        "give_up_at, created_at, changed_at) SELECT subscription_id, event_id, correlation_id, "
        "'pending', 0, 0, now(), now(), now(), now() FROM subscriptions, public_events; "
        "UPDATE deliveries SET state = 'dropped' WHERE delivery_id % 10 <> 0"
    ),
}
"""Four indexes of deliveries begin with the same column: over an empty table their plans cost the same."""


@pytest.fixture(scope="module")
async def indexes(make_module_database: DatabaseFactory) -> AsyncIterator[IndexTests]:
    """A database with the service's tables and these rows."""
    opened = await IndexTests.open(make_module_database("webhooks", migrated=True).migration)
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
