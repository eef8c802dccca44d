"""What is refused before it becomes a request: counted by kind, told as a signed event, and on record, bounded."""

import asyncio
from datetime import timedelta

from prizewire_chassis.testing import make_key
from prizewire_contracts.events.signing import MessagesRefusedEvent
from prizewire_contracts.ids import refusals_id
from prizewire_devstack.waiting import eventually
from prizewire_signer.storage.refusals import DETAIL_MAX, PUBLISH_EVERY
from services.signer.tests.fakes import close_requested, intent, request, slot_closed
from services.signer.tests.integration.conftest import Signer


async def tell(signer: Signer) -> int:
    async with signer.db.transaction() as tx:
        return await signer.unit_of_work(tx).refusals.publish(now=signer.clock.now())


async def sums(signer: Signer) -> dict[tuple[str, str], int]:
    """The newest sums that the signer told."""
    event = (await signer.answers())[-1]
    assert isinstance(event, MessagesRefusedEvent)
    return {(kind.state, kind.reason): kind.count for kind in event.data.kinds}


async def forge(signer: Signer, count: int) -> None:
    """Messages in payouts' name that payouts did not sign."""
    for _ in range(count):
        forged = signer.event(close_requested(1), key=make_key("rewards"))
        await signer.take_events([forged])


async def test_first_of_a_kind_is_told_at_once_and_then_sums(signer: Signer) -> None:
    """A flood of forged messages costs one event and one audit record at once, and one of each for every period."""
    assert await tell(signer) == 0
    await signer.take_events([b"no JSON"])
    await forge(signer, 3)
    assert await tell(signer) == 2
    assert await sums(signer) == {("dead", "not_json"): 1, ("dead", "key_not_trusted"): 3}
    (event,) = await signer.answers()
    assert (event.subject, event.correlationid) == ("signer", str(refusals_id("signer")))
    await forge(signer, 40)
    assert await tell(signer) == 0, "known, and told a moment ago"
    signer.clock.advance(PUBLISH_EVERY)
    assert await tell(signer) == 1
    assert await sums(signer) == {("dead", "not_json"): 1, ("dead", "key_not_trusted"): 43}
    signer.clock.advance(timedelta(days=1))
    assert await tell(signer) == 0
    audits = await signer.audits("messages.refused")
    assert [(row.reason, row.detail["new"], row.detail["in_all"]) for row in audits] == [
        ("key_not_trusted", 3, 3),
        ("not_json", 1, 1),
        ("key_not_trusted", 40, 43),
    ]
    assert [event.aggregateversion for event in await signer.answers()] == [1, 2]
    assert not any((await signer.breaches()).values())


async def test_parked_words_are_told_and_what_is_gone_is_not(signer: Signer) -> None:
    """A closing that contradicts what was signed is listed with its place; once it is gone, the next sums say so."""
    await signer.submit(data := request([intent(1)]))
    await signer.take(slot_closed(data, result="failed", consumed_by="ab" * 32))
    assert await tell(signer) == 1
    assert await sums(signer) == {("parked", "event_mismatch"): 1}
    (kind,) = (await signer.answers())[-1].data.kinds
    assert "not recorded" in kind.detail
    assert kind.place.startswith("prizewire.signing.requests.v1/")
    await signer.rows("UPDATE stuck_events SET state = 'replayed' RETURNING 1")
    signer.clock.advance(PUBLISH_EVERY)
    assert await tell(signer) == 0
    assert await sums(signer) == {}


async def test_a_kind_that_comes_again_is_told_at_once(signer: Signer) -> None:
    """After its sum was told as gone; what grows later waits for the period from then on."""
    await forge(signer, 1)
    assert await tell(signer) == 1
    await signer.rows("UPDATE stuck_events SET state = 'replayed' RETURNING 1")
    signer.clock.advance(PUBLISH_EVERY)
    assert await tell(signer) == 0
    await forge(signer, 1)
    assert await tell(signer) == 1
    assert await sums(signer) == {("dead", "key_not_trusted"): 1}
    await forge(signer, 1)
    assert await tell(signer) == 0, "told a moment ago"
    signer.clock.advance(PUBLISH_EVERY)
    assert await tell(signer) == 1
    assert len(await signer.answers()) == 4


async def test_what_a_forger_wrote_is_told_short_and_printable(signer: Signer) -> None:
    """A detail may repeat what the message said."""
    await forge(signer, 1)
    await signer.rows("UPDATE stuck_events SET detail = E'\\x1b[2J' || repeat('x', 500) RETURNING 1")
    await tell(signer)
    (kind,) = (await signer.answers())[-1].data.kinds
    assert kind.detail == "?[2J" + "x" * (DETAIL_MAX - 4)


async def test_one_at_a_time_tells(signer: Signer) -> None:
    """Of two processes that find the same refusals one tells them, and the other finds nothing new."""
    await forge(signer, 1)
    async with signer.db.transaction() as tx:
        assert await signer.unit_of_work(tx).refusals.publish(now=signer.clock.now()) == 1
        second = asyncio.create_task(tell(signer))

        async def waits() -> bool:
            return bool(await signer.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))

        await eventually(waits)
    assert await second == 0
    assert len(await signer.answers()) == 1
