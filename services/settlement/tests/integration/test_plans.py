"""Plans of the hot statements, over tables that have grown: whatever a batch looks up, it finds by an index."""

from datetime import timedelta

import asyncpg

from prizewire_devstack.waiting import eventually
from services.settlement.tests.fakes import NOW
from services.settlement.tests.integration.conftest import Opener, Service, match_event, results

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


async def counters(service: Service) -> dict[str, tuple[int, int]]:
    """Sequential scans and rows added so far, by table."""
    connection = await asyncpg.connect(service.urls.migration)
    rows = await connection.fetch("SELECT relname, seq_scan, n_tup_ins FROM pg_stat_user_tables")
    await connection.close()
    return {row["relname"]: (row["seq_scan"], row["n_tup_ins"]) for row in rows}


async def test_nothing_that_grows_is_read_whole(open_service: Opener) -> None:
    """Batches of results, of progress and of finality, and what is relayed, scan no growing table."""
    service: Service = await open_service()
    await service.create(dispute_window_s=60)
    owner = await asyncpg.connect(service.urls.migration)
    async with owner.transaction():
        for statement in FILL:
            await owner.execute(statement)
    await owner.execute("ANALYZE")
    await owner.close()
    before = await counters(service)
    for batch in range(8):
        names = [f"plan-{batch}-{number}" for number in range(10)]
        await service.take(*(match_event("opened", name) for name in names))
        await service.take(
            *(
                match_event("completed", name, data={"results": results("ann", "bob", "cyd")})
                for name in names
            )
        )
    service.clock.advance(timedelta(seconds=61))
    while await service.finalize():
        pass
    assert service.clock.now() > NOW
    await service.db.close()

    async def told() -> bool:
        """Sessions report what they did when they end."""
        return (await counters(service))["settlement_lines"][1] - before["settlement_lines"][1] >= 8 * 10 * 3

    await eventually(told)
    after = await counters(service)
    scanned = {name: after[name][0] - before[name][0] for name in GROWING if after[name][0] > before[name][0]}
    assert scanned == {}
