"""A round that cannot become final does not keep the others from it."""

from datetime import timedelta

from sqlalchemy import text

from prizewire_contracts.encode import source_of
from prizewire_contracts.ids import event_id
from services.settlement.tests.service import Opener, Service, match_event, results, subject_of


async def test_rounds_become_final_beside_one_that_cannot(open_service: Opener) -> None:
    """Its event cannot be stored, since the login took the id; it stays settled, and is tried again later."""
    service: Service = await open_service()
    await service.create(dispute_window_s=60)
    names = ["m1", "m2", "m3"]
    await service.take(
        *(match_event("completed", name, data={"results": results("ann", "bob")}) for name in names)
    )
    [version] = {row.version for row in await service.rows("SELECT version FROM rounds")}
    taken = event_id(
        source=source_of("settlement"),
        subject=str(subject_of("m2")),
        version=version + 1,
        kind="prizewire.round.finalized.v1",
    )
    async with service.db.transaction() as tx:
        await tx.execute(
            text(
                "INSERT INTO outbox (event_id, topic, key, value, created_at) "
                "SELECT :id, topic, key, value, created_at FROM outbox LIMIT 1"
            ),
            {"id": str(taken)},
        )
    service.clock.advance(timedelta(days=30))
    while await service.finalize():
        pass
    states = {row.match_id: row.state for row in await service.rows("SELECT match_id, state FROM rounds")}
    assert states == {"m1": "FINALIZED", "m2": "SETTLED", "m3": "FINALIZED"}
