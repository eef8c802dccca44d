"""Plans of corrections, voids, entries and missing parts, over tables that have grown."""

from datetime import timedelta

import asyncpg

from prizewire_devstack.waiting import eventually
from prizewire_settlement.rounds.consumers import CONSUMER
from prizewire_settlement.rounds.storage.rounds import corrections_ready
from services.settlement.tests.rounds.integration.test_plans import FILL, GROWING, counters
from services.settlement.tests.service import Opener, Service, match_event, results

ENTRIES = (
    "INSERT INTO entries (id, round_id, player, asset, amount, event_id, entered_at) "
    "SELECT gen_random_uuid(), id, 'past', 'EURC', 1, match_id, now() FROM past"
)


async def test_disputes_read_growing_tables_by_index(open_service: Opener) -> None:
    """Entries, results in parts, corrections, voids, and the searches for waiting results scan no growing table."""
    service: Service = await open_service()
    await service.create(dispute_window_s=60, entry_fee={"amount": "1.00", "asset": "EURC"})
    owner = await asyncpg.connect(service.urls.migration)
    async with owner.transaction():
        for statement in (*FILL, ENTRIES):
            await owner.execute(statement)
    await owner.execute("ANALYZE")
    await owner.close()
    before = await counters(service)
    swapped = {"results": results("bob", "ann")}
    for batch in range(8):
        names = [f"plan-{batch}-{number}" for number in range(5)]
        await service.take(*(match_event("entered", name, data={"player": "ann"}) for name in names))
        await service.take(*(match_event("entered", name, data={"player": "bob"}) for name in names))
        for part in (1, 2):
            rows = results("ann", "bob")[part - 1 : part]
            data = {"results": rows, "part": part, "parts": 2}
            await service.take(*(match_event("completed", name, data=data) for name in names))
        await service.take(*(match_event("corrected", name, data=swapped) for name in names))
        await service.take(match_event("voided", names[0]), match_event("corrected", f"early-{batch}"))
        await service.job("results.incomplete")
        async with service.db.transaction() as tx:
            assert await corrections_ready(tx, consumer=CONSUMER) == []
    service.clock.advance(timedelta(seconds=61))
    while await service.finalize():
        pass
    await service.db.close()

    async def reported() -> bool:
        """PostgreSQL has the statistics of sessions that ended."""
        return (await counters(service))["settlement_lines"].added - before[
            "settlement_lines"
        ].added >= 8 * 5 * 4

    await eventually(reported)
    after = await counters(service)
    growing = (*GROWING, "entries")
    scanned = {
        name: after[name].scans - before[name].scans
        for name in growing
        if after[name].scans > before[name].scans
    }
    assert scanned == {}
