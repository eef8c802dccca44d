"""Plans of frequent statements over large tables: every look-up of a batch uses an index."""

from typing import NamedTuple
from uuid import uuid4

import asyncpg
import pytest

from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_devstack.testing import DatabaseFactory
from prizewire_devstack.waiting import eventually
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.rig import Match, Rig, method_event, paid_event

GROWING = (
    "applied_versions",
    "entries",
    "inbox",
    "ledger_accounts",
    "ledger_groups",
    "ledger_transfers",
    "outbox",
    "payout_methods",
    "payouts",
    "rewards",
    "rounds",
    "transitions",
)
"""Tables that grow with every match, player or payout. A sequential scan of them gets slower and slower."""
PAST = (
    (
        "INSERT INTO applied_versions (consumer, source, subject, version) "
        "SELECT 'rewards.settlements', '/prizewire/settlement', gen_random_uuid(), 2 FROM generate_series(1, 40000)"
    ),
    (
        "INSERT INTO ledger_accounts (id, kind, owner, asset, bound, balance, opened_at) "
        "SELECT gen_random_uuid(), 'wallet:winnings', 'past-' || n, 'USDC', 'floor', 0, now() FROM generate_series(1, 40000) n"
    ),
    (
        "INSERT INTO payout_methods (id, version, player, type, rail_types, active, verified, is_default, changed_at) "
        "SELECT gen_random_uuid(), 1, 'past-' || n, 'stellar', '{stellar}', true, true, true, now() "
        "FROM generate_series(1, 40000) n"
    ),
    (
        "INSERT INTO payouts (id, player, asset, amount, correlation_id, state, filed_by, method_id, method_version, "
        "rail_types, intent, intent_signature, returned, version, requested_at, changed_at) "
        "SELECT gen_random_uuid(), 'past-' || n, 'USDC', 1, 'past', 'requested', 'past', gen_random_uuid(), 1, '{stellar}', "
        "'{}', '', 0, 1, now(), now() FROM generate_series(1, 40000) n"
    ),
    (
        "INSERT INTO entries (id, round_id, match_id, match_source, player, asset, amount, from_topup, from_winnings, state, "
        "code, correlation_id, version, entered_at, changed_at) SELECT gen_random_uuid(), gen_random_uuid(), 'past', "
        "'/past', 'past-' || n % 40, 'USDC', 1, 0, 0, 'refused', 'insufficient_balance', 'past', 1, now(), now() "
        "FROM generate_series(1, 40000) n"
    ),
)
"""Rows of tables that matches alone do not fill."""
BATCHES = 30
MATCHES = 60
WALLETS = 5_000
PLAYED = 80
LISTED_MAX = 100
"""Rows that may be found through a table's indexes for a page of three prizes."""
FOUND_MAX = 500
"""Rows that may be found through a table's indexes for one match of eight prizes. A scan of old rows finds thousands."""


@pytest.fixture
async def grown(make_database: DatabaseFactory) -> DatabaseUrls:
    """A database with 1,800 matches of eight prizes."""
    urls = make_database("rewards", migrated=True)
    rig = await Rig.open(urls)
    campaign = await rig.campaign(funded=10**12)
    for batch in range(BATCHES):
        await rig.settle(*(played(campaign, batch * MATCHES + number) for number in range(MATCHES)))
    await rig.close()
    owner = await asyncpg.connect(urls.migration)
    for statement in PAST:
        await owner.execute(statement)
    await owner.execute("ANALYZE")
    await owner.close()
    return urls


def played(campaign: object, number: int, *, final: bool = True) -> Match:
    """Match ``number``: eight of the players win."""
    lines = [(f"p{(number * 31 + place * 997) % WALLETS}", "1.00") for place in range(8)]
    return Match(campaign=campaign, lines=lines, final=final, match_id=f"plan-{number}")  # type: ignore[arg-type] # a UUID


class Counted(NamedTuple):
    """Statistics of a table: sequential scans, inserted rows, rows found through its indexes."""

    scans: int
    added: int
    found: int


async def counters(urls: DatabaseUrls) -> dict[str, Counted]:
    """Read PostgreSQL's statistics, by table."""
    connection = await asyncpg.connect(urls.migration)
    rows = await connection.fetch(
        "SELECT relname, seq_scan, n_tup_ins, (SELECT coalesce(sum(i.idx_tup_read), 0)::bigint "
        "FROM pg_stat_user_indexes i WHERE i.relid = t.relid) AS found FROM pg_stat_user_tables t"
    )
    await connection.close()
    return {row["relname"]: Counted(row["seq_scan"], row["n_tup_ins"], row["found"]) for row in rows}


async def test_no_growing_table_is_scanned(grown: DatabaseUrls) -> None:
    """Batches of settled rounds, their finality, a direct prize with its payment, and a listing of all campaigns need no
    scan of a growing table or of one of its indexes.
    """
    before = await counters(grown)
    rig = await Rig.open(grown)
    await play(rig)
    async with rig.client("olga", "operator") as olga:
        assert len((await olga.get("/api/campaigns")).json()["items"]) == 3
    await rig.close()
    await check_no_scans(grown, before)


async def test_plans_made_over_small_tables_stay_good(make_database: DatabaseFactory) -> None:
    """Plans that a service made over nearly empty tables still read few rows when the tables have grown, also without new
    statistics.
    """
    urls = make_database("rewards", migrated=True)
    rig = await Rig.open(urls)
    campaign = await rig.campaign(funded=10**12)
    for batch in range(8):
        await rig.settle(*(played(campaign, batch * 200 + number) for number in range(200)))
    owner = await asyncpg.connect(urls.migration)
    for statement in PAST:
        await owner.execute(statement)
    await owner.close()
    before = await counters(urls)
    await play(rig)
    await rig.close()
    await check_no_scans(urls, before)


async def play(rig: Rig) -> None:
    """Batches of settled rounds, their finality, a direct prize and its payment."""
    campaign = await rig.campaign(funded=10**9)
    direct = await rig.campaign(funded=10**9, delivery=Delivery.DIRECT)
    for batch in range(PLAYED // 10):
        first = 100_000 + batch * 10
        disputed = [played(campaign, number, final=False) for number in range(first, first + 5)]
        await rig.settle(*disputed, *(played(campaign, number) for number in range(first + 5, first + 10)))
        await rig.feed(rig.settlements, *(match.finalized() for match in disputed))
    await rig.feed(rig.payouts, method_event("ann"))
    prize = Match(campaign=direct, lines=[("ann", "5.00")])
    await rig.settle(prize)
    payout = (await rig.rows("SELECT id FROM payouts WHERE player = 'ann'"))[0]["id"]
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="5.00"))
    assert await rig.balance(Kind.PAYOUT_PENDING, payout) == 0


async def check_no_scans(urls: DatabaseUrls, before: dict[str, Counted]) -> None:
    """Check that no growing table was scanned since, and none of its indexes was scanned for many rows."""

    async def reported() -> bool:
        """A session reports its statistics when it ends."""
        now = await counters(urls)
        return now["ledger_transfers"].added - before["ledger_transfers"].added > PLAYED * 8

    await eventually(reported)
    after = await counters(urls)
    scanned = {
        name: after[name].scans - before[name].scans
        for name in GROWING
        if after[name].scans > before[name].scans
    }
    assert scanned == {}
    found = {name: after[name].found - before[name].found for name in GROWING}
    scanned_much = {name: count for name, count in found.items() if count > PLAYED * FOUND_MAX}
    assert scanned_much == {}, "an index was scanned for more rows than the queries need"


async def test_listings_read_no_more_than_their_page(grown: DatabaseUrls) -> None:
    """Pages of prizes of all players and of one, and of rounds and payouts by their last change, read a bounded number of
    rows, however long the listing is.
    """
    before = await counters(grown)
    rig = await Rig.open(grown)
    requests = 0
    async with rig.client("olga", "operator") as olga:
        for query in ({}, {"player": "p31"}, {"correlation_id": played(uuid4(), 7).correlation_id}):
            cursor: dict[str, str] = {}
            for _ in range(5):
                answer = await olga.get("/api/rewards", params={"limit": "3", **query, **cursor})
                page = answer.json()
                requests += 1
                assert page["items"] or cursor, query
                if page["next_cursor"] is None:
                    break
                cursor = {"cursor": page["next_cursor"]}
        answer = await olga.get("/api/wallet/entries", params={"limit": "3", "player": "past-7"})
        assert len(answer.json()["items"]) == 3
        for path in ("/api/rewards/rounds/booked", "/api/rewards/payouts/asked"):
            place: dict[str, str] = {}
            for _ in range(5):
                answer = await olga.get(path, params={"limit": "3", "since": "2026-01-01", **place})
                page = answer.json()
                requests += 1
                assert len(page["items"]) == 3, path
                place = {"cursor": page["next_cursor"]}
    await rig.close()

    async def reported() -> bool:
        """A session reports its statistics when it ends."""
        now = await counters(grown)
        return now["rounds"].found - before["rounds"].found >= requests

    await eventually(reported)
    after = await counters(grown)
    for name in ("rewards", "rounds", "entries", "payouts"):
        assert after[name].scans == before[name].scans, name
        assert after[name].found - before[name].found <= requests * LISTED_MAX, name


async def test_a_sequential_scan_is_counted(grown: DatabaseUrls) -> None:
    """Without its index a look-up is a sequential scan, and the statistics count it."""
    before = await counters(grown)
    connection = await asyncpg.connect(grown.migration)
    await connection.execute("DROP INDEX ledger_groups_correlation")
    await connection.fetch("SELECT 1 FROM ledger_groups WHERE correlation_id = 'x'")
    await connection.close()

    async def seen() -> bool:
        return (await counters(grown))["ledger_groups"].scans > before["ledger_groups"].scans

    await eventually(seen)
