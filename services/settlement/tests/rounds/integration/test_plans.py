"""Plans of frequent statements over grown tables: a batch finds all its rows by an index."""

from datetime import timedelta
from typing import NamedTuple

import asyncpg
import pytest

from prizewire_devstack.waiting import eventually
from services.settlement.tests.fakes import NOW
from services.settlement.tests.service import Opener, Service, match_event, results

GROWING = (
    "inbox",
    "outbox",
    "round_results",
    "round_transitions",
    "rounds",
    "settlement_lines",
    "settlements",
    "stuck_events",
)
"""Tables that grow with every match: reading one of them whole gets slower with each."""
PAST = 40_000
PLAYED = 80
FOUND_MAX = 100
"""Rows that may be found through a table's indexes for one match of three prizes; a scan over old rows finds 40 times as
many."""
FILL = (
    # Steps go before their rounds, whose trigger looks for them.
    (
        "CREATE TEMPORARY TABLE past ON COMMIT DROP AS "
        f"SELECT gen_random_uuid() AS id, 'past-' || n AS match_id FROM generate_series(1, {PAST}) n"
    ),
    (
        "INSERT INTO round_transitions (round_id, seq, from_state, to_state, cause, actor, correlation_id, at) "
        "SELECT id, 1, 'NEW', 'OPEN', 'past', 'past', match_id, now() FROM past"
    ),
    (
        "INSERT INTO rounds (id, source, match_id, competition_id, correlation_id, rule_version, state, state_seq, version, "
        "settlement_version, created_at, updated_at) "
        "SELECT id, '/past', match_id, 'cup', match_id, 1, 'OPEN', 1, 1, 0, now(), now() FROM past"
    ),
    (
        "INSERT INTO round_results (round_id, result_version, part, parts, hash, document, event_id, received_at) "
        "SELECT id, 1, 1, 1, '', '[]', match_id, now() FROM past"
    ),
    (
        "INSERT INTO settlements (round_id, version, rule_version, campaign, asset, gross, platform_fee, organizer_fee, net, "
        "unclaimed, lines_total, parts, first_event, final, final_at, settled_at, cause_id) "
        "SELECT id, 1, 1, gen_random_uuid(), 'EURC', 0, 0, 0, 0, 0, 0, 1, 1, true, now(), now(), 'past' FROM past"
    ),
    (
        "INSERT INTO settlement_lines (round_id, version, line, player, place, amount) "
        "SELECT id, 1, 1, 'past', 1, 1 FROM past"
    ),
    (
        "INSERT INTO inbox (consumer, source, event_id, hash, received_at) "
        "SELECT 'settlement.matches', '/past', match_id, '', now() FROM past"
    ),
    "INSERT INTO outbox (topic, key, value, event_id, created_at) SELECT 'past', '', '', match_id, now() FROM past",
    (
        'INSERT INTO stuck_events (consumer, topic, partition, "offset", source, subject, state, reason, detail, value, '
        "recorded_at) "
        "SELECT 'settlement.matches', 'past', 0, row_number() OVER (), '/past', match_id, 'dead', 'past', '', '', now() "
        "FROM past"
    ),
)


class Counted(NamedTuple):
    """What was done to a table so far: scans of the whole, rows added, rows found through its indexes."""

    scans: int
    added: int
    found: int


async def counters(service: Service) -> dict[str, Counted]:
    """What PostgreSQL has counted, by table."""
    connection = await asyncpg.connect(service.urls.migration)
    rows = await connection.fetch(
        "SELECT relname, seq_scan, n_tup_ins, (SELECT coalesce(sum(i.idx_tup_read), 0)::bigint "
        "FROM pg_stat_user_indexes i WHERE i.relid = t.relid) AS found FROM pg_stat_user_tables t"
    )
    await connection.close()
    return {row["relname"]: Counted(row["seq_scan"], row["n_tup_ins"], row["found"]) for row in rows}


async def play(service: Service, *, season: str, batches: int, size: int, competition: str = "cup") -> None:
    """Batches of rounds that open, are settled, and become final."""
    for batch in range(batches):
        names = [f"{season}-{batch}-{number}" for number in range(size)]
        opened = {"competition": competition}
        await service.take(*(match_event("opened", name, data=opened) for name in names))
        await service.take(
            *(
                match_event("completed", name, data={**opened, "results": results("ann", "bob", "cyd")})
                for name in names
            )
        )
    service.clock.advance(timedelta(seconds=61))
    while await service.finalize():
        pass


@pytest.mark.parametrize("young", [False, True])
async def test_growing_tables_are_read_by_index(open_service: Opener, *, young: bool) -> None:
    """Batches of results, of progress and of finality scan neither a growing table nor a whole index of it. This holds for
    plans that a ``young`` service made while its tables were empty, too.
    """
    service: Service = await open_service()
    await service.create(dispute_window_s=60)
    if young:
        # plans of large batches: for those it may look cheaper to read a table once than to look into it often
        await service.create(id="quick")
        await play(service, season="first", batches=8, size=200, competition="quick")
    owner = await asyncpg.connect(service.urls.migration)
    async with owner.transaction():
        for statement in FILL:
            await owner.execute(statement)
    # removes dead index entries of rounds that are not due any more
    await owner.execute("VACUUM (INDEX_CLEANUP ON) rounds" if young else "ANALYZE")
    await owner.close()
    before = await counters(service)
    await play(service, season="plan", batches=PLAYED // 10, size=10)
    assert service.clock.now() > NOW
    await service.db.close()

    async def reported() -> bool:
        """PostgreSQL has the statistics of sessions that ended."""
        return (await counters(service))["settlement_lines"].added - before[
            "settlement_lines"
        ].added >= PLAYED * 3

    await eventually(reported)
    after = await counters(service)
    scanned = {
        name: after[name].scans - before[name].scans
        for name in GROWING
        if after[name].scans > before[name].scans
    }
    assert scanned == {}
    found = {name: after[name].found - before[name].found for name in GROWING}
    walked = {name: count for name, count in found.items() if count > PLAYED * FOUND_MAX}
    assert walked == {}, "an index was walked where a few rows were asked for"
