"""Plans of the lists, over a table that has grown: each filter is answered through an index."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from prizewire_payouts.payouts.domain.states import CLOSING
from prizewire_payouts.payouts.storage.queries import Order, PayoutFilter, SortBy, changed_listing, listing
from services.payouts.tests.rig import START, Rig

PAST = 20_000
HELD = 5_000
RARE = 3
READ_MAX = 200
"""Rows of the table that a page of 50 may look at, found and dropped ones together."""


async def grow(rig: Rig) -> UUID:
    """A past: payouts of 500 players, and before them a few of another player, rail, asset, state and method, which is
    returned.
    """
    payout_id = await rig.request(await rig.method())
    rare = (await rig.method("rare")).method_id
    common = {
        "payout_id": "gen_random_uuid()",
        "requested_at": "requested_at - n * interval '1 minute'",
        "player": "'player-' || n % 500",
        "correlation_id": "'match-' || n",
        "method_id": "NULL",
        "campaign": "'campaign-' || n % 500",
        "competition": "'cup-' || n % 500",
        "source": "'/games/' || n % 500",
        "stored_at": "requested_at - n * interval '1 minute'",
    }
    waiting = {**common, "state": "'held'", "code": "'above_automatic_limit'"}
    past = {
        **common,
        "requested_at": "requested_at - interval '300 days' - n * interval '1 hour'",
        "player": "'rare'",
        "payee": "'rare-payee'",
        "correlation_id": "'rare'",
        "rail": "'rare'",
        "asset": "'XLM'",
        "state": "'closing_failed'",
        "method_id": f"CAST('{rare}' AS uuid)",
        "campaign": "'rare'",
        "competition": "'rare'",
        "source": "'rare'",
        "code": "'rare'",
    }
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute("ALTER TABLE payouts DISABLE TRIGGER USER")
    columns = await owner.fetch(
        "SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'payouts'"
    )
    for count, changes in ((PAST, common), (HELD, waiting), (RARE, past)):
        names = [row["name"] for row in columns]
        values = ", ".join(changes.get(name, name) for name in names)
        await owner.execute(
            f"INSERT INTO payouts ({', '.join(names)}) SELECT {values} FROM payouts, generate_series(1, {count}) n "
            f"WHERE payout_id = '{payout_id}'"
        )
    await owner.execute("ANALYZE payouts")
    await owner.close()
    return rare


QUEUES = [
    PayoutFilter(
        states=("held",),
        asset="EURC" if by is SortBy.AMOUNT else None,
        order=Order(by=by, descending=descending),
        after=after if paged else None,
    )
    for by, after in (
        (SortBy.AGE, (START - timedelta(days=3), UUID(int=7))),
        (SortBy.AMOUNT, (1250, UUID(int=7))),
        (SortBy.RAIL, ("fake", START - timedelta(days=3), UUID(int=7))),
        (SortBy.ASSET, ("EURC", START - timedelta(days=3), UUID(int=7))),
        (SortBy.PLAYER, ("player-7", START - timedelta(days=3), UUID(int=7))),
    )
    for descending in (False, True)
    for paged in (False, True)
]
"""The queue in every order, from its beginning and from its middle."""


def steps_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every step of a plan."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from steps_of(inner)


async def test_every_filter_of_a_list_is_answered_through_an_index(rig: Rig) -> None:
    """A page never reads the table, however rare what is asked for; a cursor far back costs no more than the first page."""
    rare = await grow(rig)
    back = (START - timedelta(days=10), UUID(int=7))
    filters = [
        PayoutFilter(),
        PayoutFilter(after=back),
        PayoutFilter(asset="EURC", after=back),
        PayoutFilter(rail="fake", states=("approved",), after=back),
        PayoutFilter(player="player-7"),
        PayoutFilter(player="player-7", after=back),
        PayoutFilter(player="rare"),
        PayoutFilter(person="player-7"),
        PayoutFilter(person="rare"),
        PayoutFilter(payee="rare-payee"),
        PayoutFilter(rail="rare"),
        PayoutFilter(asset="XLM"),
        PayoutFilter(states=("closing_failed",)),
        PayoutFilter(states=tuple(CLOSING)),
        PayoutFilter(method_id=rare),
        PayoutFilter(campaign="rare"),
        PayoutFilter(competition="rare"),
        PayoutFilter(source="rare"),
        PayoutFilter(correlation_id="match-4711"),
        PayoutFilter(since=START - timedelta(days=9), until=START - timedelta(days=8)),
        PayoutFilter(until=START - timedelta(days=299)),
        PayoutFilter(code="rare"),
        *QUEUES,
    ]
    queries = {str(wanted): listing(wanted) for wanted in filters}
    for since, before in ((None, None), (START - timedelta(days=9), None), (None, back)):
        queries[f"stored from {since}, before {before}"] = changed_listing(
            since=since, before=before, limit=50
        )
    found: dict[str, str] = {}
    for wanted, listed in queries.items():
        query, parameters = listed
        (row,) = await rig.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", **parameters)
        for step in steps_of(row[0][0]["Plan"]):
            read = step["Actual Rows"] + step.get("Rows Removed by Filter", 0)
            if step["Node Type"] == "Seq Scan" or read > READ_MAX:
                found[wanted] = f"{step['Node Type']} of {read} rows"
    assert found == {}
