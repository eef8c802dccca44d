"""A delivery that cannot be claimed: the deliveries of other lanes go on, and it is neither sent nor ended."""

from prizewire_chassis.batches import POSTPONED_FIRST
from services.webhooks.tests.conftest import World, paid_event


async def test_a_delivery_that_cannot_be_claimed_does_not_stop_the_others(world: World) -> None:
    """The login wrote its next attempt, so that no attempt can be stored. It is sent once its time has come again."""
    await world.subscribe()
    await world.publish(*(paid_event(correlation_id=lane) for lane in ("a", "b", "c")))
    async with world.db.transaction() as tx:
        await tx.exec_driver_sql(
            "INSERT INTO attempts (delivery_id, number, probe, outcome, started_at) "
            "SELECT delivery_id, 1, false, 'open', created_at FROM deliveries WHERE correlation_id = 'b'"
        )
    await world.pump()
    rows = await world.rows("SELECT correlation_id, state FROM deliveries")
    assert {row.correlation_id: row.state for row in rows} == {
        "a": "delivered",
        "b": "pending",
        "c": "delivered",
    }
    async with world.db.transaction() as tx:
        await tx.exec_driver_sql("UPDATE deliveries SET attempts = 1 WHERE correlation_id = 'b'")
    world.clock.advance(POSTPONED_FIRST)
    await world.pump()
    assert await world.states() == ["delivered"] * 3
