"""Messages that are refused before they become requests: counted by kind, published in a signed event, audited, bounded."""

import asyncio
from datetime import timedelta

from prizewire_chassis.testing import make_key
from prizewire_contracts.events.signing import MessagesRefusedEvent
from prizewire_contracts.ids import refusals_id
from prizewire_devstack.waiting import eventually
from prizewire_signer.storage.refusals import DETAIL_MAX, PUBLISH_EVERY
from services.signer.tests.fakes import close_requested, intent, request, slot_closed
from services.signer.tests.integration.conftest import Signer


async def publish(signer: Signer) -> int:
    async with signer.db.transaction() as tx:
        return await signer.unit_of_work(tx).refusals.publish(now=signer.clock.now())


async def sums(signer: Signer) -> dict[tuple[str, str], int]:
    """The newest sums that the signer published."""
    event = (await signer.answers())[-1]
    assert isinstance(event, MessagesRefusedEvent)
    return {(kind.state, kind.reason): kind.count for kind in event.data.kinds}


async def forge(signer: Signer, count: int) -> None:
    """Forged messages in payouts' name."""
    for _ in range(count):
        forged = signer.event(close_requested(1), key=make_key("rewards"))
        await signer.take_events([forged])


async def test_a_new_kind_is_published_at_once_and_sums_follow(signer: Signer) -> None:
    """A flood of forged messages costs one event and one audit record at once, and one of each for every period."""
    assert await publish(signer) == 0
    await signer.take_events([b"no JSON"])
    await forge(signer, 3)
    assert await publish(signer) == 2
    assert await sums(signer) == {("dead", "not_json"): 1, ("dead", "key_not_trusted"): 3}
    (event,) = await signer.answers()
    assert (event.subject, event.correlationid) == ("signer", str(refusals_id("signer")))
    await forge(signer, 40)
    assert await publish(signer) == 0, "known, and published a moment ago"
    signer.clock.advance(PUBLISH_EVERY)
    assert await publish(signer) == 1
    assert await sums(signer) == {("dead", "not_json"): 1, ("dead", "key_not_trusted"): 43}
    signer.clock.advance(timedelta(days=1))
    assert await publish(signer) == 0
    audits = await signer.audits("messages.refused")
    assert [(row.reason, row.detail["new"], row.detail["in_all"]) for row in audits] == [
        ("key_not_trusted", 3, 3),
        ("not_json", 1, 1),
        ("key_not_trusted", 40, 43),
    ]
    assert [event.aggregateversion for event in await signer.answers()] == [1, 2]
    assert not any((await signer.breaches()).values())


async def test_parked_messages_are_published_and_removed_ones_count_zero(signer: Signer) -> None:
    """A closing that contradicts what was signed is listed with its place; once it is removed, the next sums are without it."""
    await signer.submit(data := request([intent(1)]))
    await signer.take(slot_closed(data, result="failed", consumed_by="ab" * 32))
    assert await publish(signer) == 1
    assert await sums(signer) == {("parked", "event_mismatch"): 1}
    (kind,) = (await signer.answers())[-1].data.kinds
    assert "not recorded" in kind.detail
    assert kind.place.startswith("prizewire.signing.requests.v1/")
    await signer.rows("UPDATE stuck_events SET state = 'replayed' RETURNING 1")
    signer.clock.advance(PUBLISH_EVERY)
    assert await publish(signer) == 0
    assert await sums(signer) == {}


async def test_a_kind_that_comes_again_is_published_at_once(signer: Signer) -> None:
    """A kind that was published as removed is new again; its later growth waits for the period."""
    await forge(signer, 1)
    assert await publish(signer) == 1
    await signer.rows("UPDATE stuck_events SET state = 'replayed' RETURNING 1")
    signer.clock.advance(PUBLISH_EVERY)
    assert await publish(signer) == 0
    await forge(signer, 1)
    assert await publish(signer) == 1
    assert await sums(signer) == {("dead", "key_not_trusted"): 1}
    await forge(signer, 1)
    assert await publish(signer) == 0, "published a moment ago"
    signer.clock.advance(PUBLISH_EVERY)
    assert await publish(signer) == 1
    assert len(await signer.answers()) == 4


async def test_details_of_forged_messages_are_short_and_printable(signer: Signer) -> None:
    """A detail may quote the forged message."""
    await forge(signer, 1)
    await signer.rows("UPDATE stuck_events SET detail = E'\\x1b[2J' || repeat('x', 500) RETURNING 1")
    await publish(signer)
    (kind,) = (await signer.answers())[-1].data.kinds
    assert kind.detail == "?[2J" + "x" * (DETAIL_MAX - 4)


async def test_two_processes_publish_a_sum_once(signer: Signer) -> None:
    """Of two processes that find the same refusals one publishes them, and the other finds nothing new."""
    await forge(signer, 1)
    async with signer.db.transaction() as tx:
        assert await signer.unit_of_work(tx).refusals.publish(now=signer.clock.now()) == 1
        second = asyncio.create_task(publish(signer))

        async def waits() -> bool:
            return bool(await signer.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))

        await eventually(waits)
    assert await second == 0
    assert len(await signer.answers()) == 1
